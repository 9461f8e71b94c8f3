import { create } from 'zustand';
import { asStudioError, engine } from '../../stores/connection.ts';
import { useData } from '../../stores/data.ts';

interface Playing {
  dataset: string | null;
  sample: number | null;
}

const silence: Playing = { dataset: null, sample: null };

/** The sound that is being played. */
export const usePlayer = create<Playing>()(() => silence);

let element: HTMLAudioElement | null = null;
let url = '';

function stop(): void {
  element?.pause();
  element = null;
  URL.revokeObjectURL(url);
  usePlayer.setState(silence);
}

/** Plays a sample's own file from its beginning; one sound at a time. The one that plays is stopped. */
export async function play(dataset: string, sample: number): Promise<void> {
  const now = usePlayer.getState();
  const same = now.dataset === dataset && now.sample === sample;
  stop();
  if (same) return;
  usePlayer.setState({ dataset, sample });
  try {
    const file = await engine().original(dataset, sample);
    const wanted = usePlayer.getState();
    if (wanted.dataset !== dataset || wanted.sample !== sample) return;
    url = URL.createObjectURL(file);
    const own = new Audio(url);
    element = own;
    own.onended = () => own === element && stop();
    await own.play();
  } catch (thrown) {
    // Another sound was asked for before this one began.
    if (thrown instanceof DOMException && thrown.name === 'AbortError') return;
    stop();
    useData.setState({ error: asStudioError(thrown) });
  }
}
