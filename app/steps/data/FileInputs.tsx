import { take } from '../../stores/data.ts';
import { filesOfInput } from './intake.ts';

function taken(event: React.ChangeEvent<HTMLInputElement>): void {
  const files = filesOfInput(event.target.files ?? []);
  // Emptied so that choosing the same files again is a change again.
  event.target.value = '';
  void take(files);
}

/** The two pickers behind every "choose" button; out of sight and out of the tab order. */
export function FileInputs() {
  return (
    <div hidden>
      <input type="file" multiple aria-label="Files" data-testid="drop-input" onChange={taken} />
      <input
        type="file"
        multiple
        aria-label="Folder"
        data-testid="folder-input"
        onChange={taken}
        ref={(input) => {
          if (input) input.webkitdirectory = true;
        }}
      />
    </div>
  );
}
