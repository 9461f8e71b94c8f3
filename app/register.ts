/**
 * Registers the service worker, which makes the page work offline and sets the headers on hosts that cannot. Built
 * pages only: the dev server's files change under a worker's feet.
 */
const serviceWorker = navigator.serviceWorker as ServiceWorkerContainer | undefined;

if (import.meta.env.PROD && serviceWorker) {
  let touched = false;
  for (const kind of ['pointerdown', 'keydown', 'drop', 'paste']) {
    addEventListener(kind, () => (touched = true), { once: true, capture: true });
  }

  // The first visit to a host without headers is not isolated; one reload through the worker is. Not once the
  // person has begun: they get it on the next visit.
  serviceWorker.addEventListener('controllerchange', () => {
    if (crossOriginIsolated || touched || sessionStorage.getItem('reloaded-for-isolation')) return;
    sessionStorage.setItem('reloaded-for-isolation', 'yes');
    location.reload();
  });

  serviceWorker.register(new URL('sw.js', document.baseURI), { updateViaCache: 'none' }).then(
    async () => {
      const { active } = await serviceWorker.ready;
      active?.postMessage('fetch-the-rest');
    },
    (error: unknown) =>
      console.warn('The page will not work offline: its service worker could not be registered.', error),
  );
}
