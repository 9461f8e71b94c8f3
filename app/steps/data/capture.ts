import { create } from 'zustand';

/** Whether the webcam stands open on the data stage, and which class it fills. */
export const useCapture = create<{ open: boolean; className: string }>()(() => ({
  open: false,
  className: '',
}));
