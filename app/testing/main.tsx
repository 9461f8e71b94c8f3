import '../shell/tokens.css';
import '../shell/base.css';
import { createRoot } from 'react-dom/client';
import { Studio } from '../shell/Studio.tsx';
import { open } from '../stores/events.ts';
import { mergeRuns } from '../stores/merge.ts';
import { type Place, useView } from '../stores/view.ts';
import type { Scene } from './fakeScenes.ts';
import { FakeStudio } from './fakeStudio.ts';

// `?scene=done&place=result` opens the page in that state, `panel=merge` a panel with it; `tick` slows or quickens its clock.
const ask = new URLSearchParams(location.search);
const studio = new FakeStudio((ask.get('scene') ?? 'empty') as Scene, Number(ask.get('tick') ?? 100));
useView.setState({ place: (ask.get('place') ?? 'data') as Place });
createRoot(document.getElementById('root')!).render(<Studio />);
const panel = ask.get('panel');
if (panel) useView.setState({ dockTab: panel, dockOpen: true });
void open(studio).then(() => {
  if (panel === 'merge') mergeRuns(['c3', 'c4', 'c6']);
});
