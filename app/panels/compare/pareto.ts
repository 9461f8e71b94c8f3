/** Which way an axis is good. */
export type Better = 'more' | 'less';

export interface Point {
  x: number;
  y: number;
}

/**
 * The points that none beats, from left to right: another one that is at least as good on both axes and better on one
 * takes a point out. Points that are equal stay together.
 */
export function paretoFront<P extends Point>(points: readonly P[], better: { x: Better; y: Better }): P[] {
  const gain = (a: number, b: number, way: Better) => (way === 'more' ? a - b : b - a);
  const beats = (a: P, b: P) => {
    const [x, y] = [gain(a.x, b.x, better.x), gain(a.y, b.y, better.y)];
    return x >= 0 && y >= 0 && (x > 0 || y > 0);
  };
  return points
    .filter((point) => !points.some((other) => beats(other, point)))
    .sort((a, b) => a.x - b.x || a.y - b.y);
}

/** Corners of the stairs along a front: between two of its points holds what the better one on x reaches. */
export function stairs(front: readonly Point[], betterX: Better): Point[] {
  return front.flatMap((point, i) => {
    const next = front[i + 1];
    if (!next) return [point];
    return [point, betterX === 'less' ? { x: next.x, y: point.y } : { x: point.x, y: next.y }];
  });
}
