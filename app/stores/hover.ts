import { create } from 'zustand';

/** What the pointer or focus is on. Every picture lights the same class, module or run; a click pins it. */
interface HoverState {
  className: string | null;
  pinnedClass: string | null;
  module: string | null;
  pinnedModule: string | null;
  run: string | null;
  pinnedRun: string | null;
}

export const useHover = create<HoverState>()(() => ({
  className: null,
  pinnedClass: null,
  module: null,
  pinnedModule: null,
  run: null,
  pinnedRun: null,
}));

export const litClass = (state: HoverState): string | null => state.className ?? state.pinnedClass;
export const litModule = (state: HoverState): string | null => state.module ?? state.pinnedModule;
export const litRun = (state: HoverState): string | null => state.run ?? state.pinnedRun;

/** Handlers that light a class while it is pointed at or focused. */
export const lightsClass = (name: string) => ({
  onPointerEnter: () => useHover.setState({ className: name }),
  onPointerLeave: () => useHover.setState({ className: null }),
  onFocus: () => useHover.setState({ className: name }),
  onBlur: () => useHover.setState({ className: null }),
});

export const lightsModule = (path: string) => ({
  onPointerEnter: () => useHover.setState({ module: path }),
  onPointerLeave: () => useHover.setState({ module: null }),
  onFocus: () => useHover.setState({ module: path }),
  onBlur: () => useHover.setState({ module: null }),
});

export const lightsRun = (id: string) => ({
  onPointerEnter: () => useHover.setState({ run: id }),
  onPointerLeave: () => useHover.setState({ run: null }),
  onFocus: () => useHover.setState({ run: id }),
  onBlur: () => useHover.setState({ run: null }),
});

export const pinClass = (name: string): void =>
  useHover.setState((s) => ({ pinnedClass: s.pinnedClass === name ? null : name }));

export const pinModule = (path: string): void =>
  useHover.setState((s) => ({ pinnedModule: s.pinnedModule === path ? null : path }));

export const pinRun = (id: string): void =>
  useHover.setState((s) => ({ pinnedRun: s.pinnedRun === id ? null : id }));
