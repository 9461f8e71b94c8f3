import { hue } from '../text/colour.ts';

/** A repeatable stream of numbers in 0..1 (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const SIDE = 96;

/** A made-up picture of a class: a few soft shapes whose number and turn depend on the class, the rest on the sample. */
export async function picture(classIndex: number, sample: number): Promise<Blob> {
  const draw = random(sample * 7919 + classIndex + 1);
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = canvas.getContext('2d')!;
  const ground = 190 + draw() * 50;
  context.fillStyle = `rgb(${ground} ${ground - 4} ${ground - 12})`;
  context.fillRect(0, 0, SIDE, SIDE);
  context.translate(SIDE / 2 + (draw() - 0.5) * 16, SIDE / 2 + (draw() - 0.5) * 16);
  context.rotate((draw() - 0.5) * 0.7);
  context.lineWidth = 5 + draw() * 4;
  context.strokeStyle = context.fillStyle = `color-mix(in srgb, ${hue(classIndex)} 70%, #333)`;
  const corners = (classIndex % 5) + 3;
  const size = 22 + draw() * 10;
  context.beginPath();
  for (let i = 0; i <= corners; i++) {
    const angle = (i / corners) * Math.PI * 2;
    context.lineTo(Math.cos(angle) * size, Math.sin(angle) * size);
  }
  if (classIndex % 2 === 0) context.fill();
  else context.stroke();
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.8 });
}
