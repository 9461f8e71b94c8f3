import type * as P from '../../workers/protocol.ts';

/** Where the stand-in begins: each is a state of the studio that a picture or a test wants. */
export type Scene =
  | 'empty'
  | 'data'
  | 'texts'
  | 'writing'
  | 'running'
  | 'paused'
  | 'sparse'
  | 'compare'
  | 'queue'
  | 'done'
  | 'interrupted'
  | 'failed'
  | 'imported'
  | 'headless'
  | 'nogpu'
  | 'lost'
  | 'opening'
  | 'broken'
  | 'importing';

/** What the browser offers in a scene. */
export function machineOf(scene: Scene, storage: P.Storage): P.Machine {
  const none = scene === 'nogpu';
  return {
    backend: none ? 'wasm' : 'webgpu',
    adapter: none ? '' : 'Example vendor, example architecture',
    software: false,
    features: none ? [] : ['shader-f16', 'subgroups', 'timestamp-query'],
    limits: { maxBufferBytes: none ? 0 : 2 ** 31, maxBindingBytes: none ? 0 : 2 ** 30 },
    crossOriginIsolated: true,
    storage: storage,
    ...(none
      ? {
          noWebGpu: {
            name: 'NoWebGpu',
            message: 'This browser has WebGPU, but found no adapter it may use.',
            advice: 'Turn hardware acceleration on in the browser’s settings and reload.',
          },
        }
      : {}),
  };
}

/** Why a run failed. */
export const outOfMemory: P.StudioError = {
  name: 'OutOfMemory',
  message: 'The GPU ran out of memory at step 12: the plan needs 6.1 GB, the device has 4.0 GB.',
  advice:
    'Lower the batch size to 8 or the picture size to 160, and train again. The data and the knobs are kept.',
};

export const deviceLost: P.StudioEvent = {
  kind: 'device-lost',
  recovered: true,
  error: {
    name: 'DeviceLost',
    message: 'The GPU device was lost (the driver restarted) and was opened again.',
    advice: 'The run went on from its last checkpoint, step 112. Nothing needs doing.',
  },
};

/** A run as an adapter that came without a head and without pictures. */
export function bare(run: P.RunView): P.RunView {
  const { test: _, val: __, probe: ___, best: ____, ...rest } = run;
  return {
    ...rest,
    classes: ['no class'],
    datasetName: 'pictures elsewhere',
    dataHash: null,
    headless: true,
  };
}
