import './shell/tokens.css';
import './shell/base.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Studio } from './shell/Studio.tsx';
import { open } from './stores/events.ts';
import { useMachine } from './stores/machine.ts';
import { startEngine } from './studio.ts';

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <Studio />
  </StrictMode>,
);
void open(startEngine());

const worker = navigator.serviceWorker as ServiceWorkerContainer | undefined;
const tellOffline = () => useMachine.setState({ offlineReady: Boolean(worker?.controller) });
worker?.addEventListener('controllerchange', tellOffline);
tellOffline();
