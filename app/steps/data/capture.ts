import { create } from 'zustand';
import type { Modality } from '../../../models/describe.ts';

interface Capture {
  open: boolean;
  device: 'camera' | 'microphone';
  className: string;
}

/** Whether the webcam or the microphone stands open on the data stage, and which class it fills. */
export const useCapture = create<Capture>()(() => ({ open: false, device: 'camera', className: '' }));

/** Opens what captures samples of a kind. */
export function openCapture(kind: Modality, className = ''): void {
  useCapture.setState({ open: true, device: kind === 'audio' ? 'microphone' : 'camera', className });
}
