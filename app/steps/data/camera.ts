import { useEffect, useRef, useState } from 'react';
import type { StudioError } from '../../../workers/protocol.ts';

const REFUSALS: Record<string, { message: string; advice: string }> = {
  NotAllowedError: {
    message: 'The browser did not allow the camera.',
    advice: 'Allow it in the address bar and try again, or drop pictures instead.',
  },
  NotFoundError: {
    message: 'No camera was found.',
    advice: 'Plug one in and try again, or drop pictures instead.',
  },
  NotReadableError: {
    message: 'The camera is in use by another program.',
    advice: 'Close that program and try again.',
  },
};

export function refusal(thrown: unknown): StudioError {
  const name = thrown instanceof Error || thrown instanceof DOMException ? thrown.name : 'Error';
  const known = REFUSALS[name];
  return known
    ? { name, ...known }
    : { name, message: 'The camera could not be opened.', advice: 'Drop or paste pictures instead.' };
}

/** Opens the camera while `on`, and gives it back. `retry` asks again after a refusal. */
export function useCamera(on: boolean) {
  const video = useRef<HTMLVideoElement | null>(null);
  const [state, setState] = useState<'closed' | 'asking' | 'open'>('closed');
  const [error, setError] = useState<StudioError | null>(null);
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt asks again.
  useEffect(() => {
    if (!on) return;
    let stream: MediaStream | null = null;
    let gone = false;
    setState('asking');
    setError(null);
    const ask = async () => {
      if (!navigator.mediaDevices) throw new DOMException('No camera interface', 'NotFoundError');
      stream = await navigator.mediaDevices.getUserMedia({
        video: { width: 640, height: 480 },
        audio: false,
      });
      if (gone) {
        for (const track of stream.getTracks()) track.stop();
        return;
      }
      video.current!.srcObject = stream;
      await video.current!.play();
      setState('open');
    };
    ask().catch((thrown) => {
      if (gone) return;
      setError(refusal(thrown));
      setState('closed');
    });
    return () => {
      gone = true;
      for (const track of stream?.getTracks() ?? []) track.stop();
      setState('closed');
    };
  }, [on, attempt]);
  return { video, state, error, retry: () => setAttempt((n) => n + 1) };
}

/** The present frame, cut to its middle square, as a JPEG file's bytes. */
export async function frame(video: HTMLVideoElement): Promise<Blob | null> {
  const side = Math.min(video.videoWidth, video.videoHeight);
  if (side === 0) return null;
  const canvas = new OffscreenCanvas(side, side);
  const left = (video.videoWidth - side) / 2;
  const top = (video.videoHeight - side) / 2;
  canvas.getContext('2d')!.drawImage(video, left, top, side, side, 0, 0, side, side);
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 });
}
