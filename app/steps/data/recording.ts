import { useEffect, useRef, useState } from 'react';
import type { StudioError } from '../../../workers/protocol.ts';

const REFUSALS: Record<string, { message: string; advice: string }> = {
  NotAllowedError: {
    message: 'The browser did not allow the microphone.',
    advice: 'Allow it in the address bar and try again, or drop sounds instead.',
  },
  NotFoundError: {
    message: 'No microphone was found.',
    advice: 'Plug one in and try again, or drop sounds instead.',
  },
  NotReadableError: {
    message: 'The microphone is in use by another program.',
    advice: 'Close that program and try again.',
  },
};

function refusal(thrown: unknown): StudioError {
  const name = thrown instanceof Error || thrown instanceof DOMException ? thrown.name : 'Error';
  const known = REFUSALS[name];
  return known
    ? { name, ...known }
    : { name, message: 'The microphone could not be opened.', advice: 'Drop sounds instead.' };
}

/** Samples a second of what is recorded: what the backbones hear. */
export const RECORDED_RATE = 16000;

/** Opens the microphone while mounted, and gives it back. `retry` asks again after a refusal. */
export function useMicrophone() {
  const stream = useRef<MediaStream | null>(null);
  const [state, setState] = useState<'closed' | 'asking' | 'open'>('closed');
  const [error, setError] = useState<StudioError | null>(null);
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt asks again.
  useEffect(() => {
    let gone = false;
    setState('asking');
    setError(null);
    const ask = async () => {
      if (!navigator.mediaDevices) throw new DOMException('No microphone interface', 'NotFoundError');
      const found = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 }, video: false });
      if (gone) {
        for (const track of found.getTracks()) track.stop();
        return;
      }
      stream.current = found;
      setState('open');
    };
    ask().catch((thrown) => {
      if (gone) return;
      setError(refusal(thrown));
      setState('closed');
    });
    return () => {
      gone = true;
      for (const track of stream.current?.getTracks() ?? []) track.stop();
      stream.current = null;
      setState('closed');
    };
  }, [attempt]);
  return { stream, state, error, retry: () => setAttempt((n) => n + 1) };
}

/** Records until the returned function is called, which gives mono samples at `RECORDED_RATE`. */
export function record(stream: MediaStream): () => Promise<Float32Array> {
  const recorder = new MediaRecorder(stream);
  const parts: Blob[] = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const ended = new Promise<void>((resolve) => {
    recorder.onstop = () => resolve();
  });
  recorder.start();
  return async () => {
    recorder.stop();
    await ended;
    const coded = await new Blob(parts, { type: recorder.mimeType }).arrayBuffer();
    // A context decodes to its own rate.
    const sound = await new OfflineAudioContext(1, 1, RECORDED_RATE).decodeAudioData(coded);
    const mono = new Float32Array(sound.length);
    for (let c = 0; c < sound.numberOfChannels; c++)
      sound.getChannelData(c).forEach((x, i) => {
        mono[i]! += x / sound.numberOfChannels;
      });
    return mono;
  };
}
