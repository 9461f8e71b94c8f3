/** The peers' generator of register and workgroup tiles; null where the peers are not here. */
declare module 'peer-tiles' {
  interface Tile {
    kind: 'reg' | 'shared';
    rm: number;
    rn: number;
    wx: number;
    wy: number;
    tk?: number;
  }
  export const kernel:
    | ((tile: Tile, m: number, n: number, k: number) => { code: string; grid: [number, number] })
    | null;
}
