import { useEffect, useState } from 'react';
import { FileInputs } from '../steps/data/FileInputs.tsx';
import { filesOfDrop } from '../steps/data/intake.ts';
import { take } from '../stores/data.ts';
import { useView } from '../stores/view.ts';
import styles from './shell.module.css';

const carriesFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;

/** The whole page takes a drop or a paste. A place inside that wants it for itself stops the event. */
export function DropLayer() {
  const [over, setOver] = useState(false);
  // The try-it box must stay in sight while something is carried to it.
  const clear = useView((s) => s.place === 'result');
  useEffect(() => {
    let depth = 0;
    const listen = {
      dragenter: (event: DragEvent) => {
        if (!carriesFiles(event)) return;
        depth++;
        setOver(true);
      },
      dragleave: (event: DragEvent) => {
        if (!carriesFiles(event)) return;
        depth = Math.max(0, depth - 1);
        if (depth === 0) setOver(false);
      },
      dragover: (event: DragEvent) => {
        if (carriesFiles(event)) event.preventDefault();
      },
      drop: (event: DragEvent) => {
        depth = 0;
        setOver(false);
        if (event.defaultPrevented || !carriesFiles(event)) return;
        event.preventDefault();
        void filesOfDrop(event).then(take);
      },
      paste: (event: ClipboardEvent) => {
        const files = [...(event.clipboardData?.files ?? [])];
        if (event.defaultPrevented || files.length === 0) return;
        event.preventDefault();
        void take(files.map((file) => ({ path: file.name, file })));
      },
    };
    const entries = Object.entries(listen) as [string, EventListener][];
    for (const [name, handler] of entries) window.addEventListener(name, handler);
    return () => {
      for (const [name, handler] of entries) window.removeEventListener(name, handler);
    };
  }, []);
  return (
    <>
      <FileInputs />
      {over && (
        <div className={styles['dropVeil']} role="status" data-clear={clear || undefined}>
          <div>
            <strong>Drop it</strong>
            <span>
              A folder of pictures or sounds, a zip, an adapter or a backbone: what it is will be found out.
            </span>
          </div>
        </div>
      )}
    </>
  );
}
