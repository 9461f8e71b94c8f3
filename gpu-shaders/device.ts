/** A GPU device with what programs share: its limits and its compiled pipelines. Browser and Dawn alike. */
export class Gpu {
  private readonly pipelines = new Map<
    string,
    Promise<{ pipeline: GPUComputePipeline; layout: GPUBindGroupLayout }>
  >();

  private constructor(
    readonly device: GPUDevice,
    readonly info: { description: string; software: boolean; features: string[] },
  ) {}

  /** Opens the adapter's device with all the buffer limits it offers. Throws `NoGpuError` when there is none. */
  static async open(gpu: GPU | undefined): Promise<Gpu> {
    if (!gpu) throw new NoGpuError('This browser does not offer WebGPU.');
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (!adapter) throw new NoGpuError('WebGPU is there, but it found no graphics adapter.');
    const optional: GPUFeatureName[] = ['timestamp-query', 'shader-f16', 'subgroups'];
    const { limits } = adapter;
    const device = await adapter.requestDevice({
      requiredFeatures: optional.filter((f) => adapter.features.has(f)),
      requiredLimits: {
        maxBufferSize: limits.maxBufferSize,
        maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      },
    });
    const { vendor, architecture, description } = adapter.info;
    const name = description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed adapter';
    const software =
      /swiftshader|llvmpipe|software/i.test(`${name} ${architecture}`) ||
      adapter.info.isFallbackAdapter === true;
    return new Gpu(device, { description: name, software, features: [...device.features] });
  }

  /** Largest binding that a kernel may make, in bytes; kept under 2 GiB so that u32 element counts stay exact. */
  get maxBinding(): number {
    return Math.min(
      this.device.limits.maxStorageBufferBindingSize,
      this.device.limits.maxBufferSize,
      2 ** 31 - 256,
    );
  }

  /** Resolves when the device is lost; `destroyed` is our own doing. */
  get lost(): Promise<GPUDeviceLostInfo> {
    return this.device.lost;
  }

  /** The pipeline of a WGSL module whose bindings are storage buffers, compiled once per text. */
  pipeline(label: string, code: string, access: readonly GPUBufferBindingType[]) {
    let entry = this.pipelines.get(code);
    if (!entry) {
      entry = this.compile(label, code, access);
      this.pipelines.set(code, entry);
    }
    return entry;
  }

  private async compile(label: string, code: string, access: readonly GPUBufferBindingType[]) {
    const layout = this.device.createBindGroupLayout({
      entries: access.map((type, binding) => ({ binding, visibility: 4 /* COMPUTE */, buffer: { type } })),
    });
    const module = this.device.createShaderModule({ label, code });
    try {
      const pipeline = await this.device.createComputePipelineAsync({
        label,
        layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: 'main' },
      });
      return { pipeline, layout };
    } catch (cause) {
      const { messages } = await module.getCompilationInfo();
      const text = messages.map((m) => `${m.lineNum}:${m.linePos} ${m.message}`).join('\n');
      throw new Error(
        `The kernel '${label}' does not compile: ${text || (cause as Error).message}\n${code}`,
        { cause },
      );
    }
  }

  /** A storage buffer that can be copied from and to. */
  buffer(bytes: number, label: string): GPUBuffer {
    const size = Math.max(256, Math.ceil(bytes / 256) * 256);
    return this.device.createBuffer({
      label,
      size,
      usage: 0x80 | 0x8 | 0x4 /* STORAGE | COPY_DST | COPY_SRC */,
    });
  }

  /** Copies `bytes` from `offset` of a buffer to the host. */
  async read(buffer: GPUBuffer, offset = 0, bytes = buffer.size - offset): Promise<ArrayBuffer> {
    const size = Math.ceil(bytes / 4) * 4;
    const staging = this.device.createBuffer({ size, usage: 0x1 | 0x8 /* MAP_READ | COPY_DST */ });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, offset, staging, 0, size);
    this.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(1 /* READ */);
    const data = staging.getMappedRange().slice(0, bytes);
    staging.destroy();
    return data;
  }

  destroy(): void {
    this.device.destroy();
  }
}

/** There is no WebGPU, or it gives no device. */
export class NoGpuError extends Error {
  override name = 'NoGpuError';
}
