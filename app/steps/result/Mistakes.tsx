import type { Mistake, Report, Words } from '../../../workers/protocol.ts';
import { useBlobUrl } from '../../parts/hooks.ts';
import { lightsClass, litClass, useHover } from '../../stores/hover.ts';
import { percent } from '../../text/format.ts';
import styles from './result.module.css';

const SHOWN = 24;

/** The samples it was most sure of and wrong about. */
export function Mistakes({ report }: { report: Report }) {
  const names = report.classes.map((c) => c.name);
  const texts = report.mistakes[0]?.words != null;
  return (
    <section className={styles['mistakes']} aria-label="Worst mistakes">
      <h2>Worst mistakes</h2>
      {report.mistakes.length === 0 ? (
        <p className={styles['quiet']}>
          None on the {report.split === 'test' ? 'test' : 'validation'} samples.
        </p>
      ) : (
        <ul data-texts={texts || undefined} data-testid="mistakes">
          {report.mistakes
            .slice(0, SHOWN)
            .map((mistake) =>
              mistake.words ? (
                <Text key={mistake.sample} mistake={mistake} words={mistake.words} names={names} />
              ) : (
                <Picture key={mistake.sample} mistake={mistake} names={names} />
              ),
            )}
        </ul>
      )}
    </section>
  );
}

function useDim(actual: string, predicted: string): boolean {
  return useHover((s) => {
    const lit = litClass(s);
    return lit !== null && lit !== actual && lit !== predicted;
  });
}

function Text({ mistake, words, names }: { mistake: Mistake; words: Words; names: string[] }) {
  const [actual, predicted] = [names[mistake.actual] ?? '?', names[mistake.predicted] ?? '?'];
  return (
    <li data-dim={useDim(actual, predicted) || undefined} title={mistake.path} {...lightsClass(actual)}>
      <q>{words.text}</q>
      {words.pair !== null && <q>{words.pair}</q>}
      <span>
        {actual}, <em>said {predicted}</em> <small>{percent(mistake.confidence, 0)}</small>
      </span>
    </li>
  );
}

function Picture({ mistake, names }: { mistake: Mistake; names: string[] }) {
  const url = useBlobUrl(mistake.image);
  const [actual, predicted] = [names[mistake.actual] ?? '?', names[mistake.predicted] ?? '?'];
  const dim = useDim(actual, predicted);
  return (
    <li data-dim={dim || undefined} title={mistake.path} {...lightsClass(actual)}>
      {url ? (
        <img src={url} alt={`${actual}, taken for ${predicted}`} />
      ) : (
        <span className={styles['noPicture']} />
      )}
      <span>
        {actual}
        <br />
        <em>said {predicted}</em> <small>{percent(mistake.confidence, 0)}</small>
      </span>
    </li>
  );
}
