// stepKey, grid 1 × 1 × 1
@group(0) @binding(0) var<storage, read> b0: array<u32>;
@group(0) @binding(1) var<storage, read_write> b1: array<u32>;
fn pcg(v: u32) -> u32 {
  let s = v * 747796405u + 2891336453u;
  let w = ((s >> ((s >> 28u) + 4u)) ^ s) * 277803737u;
  return (w >> 22u) ^ w;
}
fn step_key(seed: u32, step: u32) -> u32 { return pcg(step ^ pcg(seed)); }

fn finish(i: u32, v: u32) {
  b1[i] = v;
}

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wid.y * groups.x + wid.x) * 64u + lane;
  if (i >= 1u) { return; }
  let value = step_key(b0[0u], b0[1u]);
  finish(i, value);
}

// mul+gelu+mul, grid 1 × 1 × 1
@group(0) @binding(0) var<storage, read> b0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1: array<u32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
fn erf(x: f32) -> f32 {
  let a = abs(x);
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return sign(x) * (1.0 - p * exp(-min(a * a, 87.0)));
}
fn gelu(x: f32) -> f32 { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
fn pcg(v: u32) -> u32 {
  let s = v * 747796405u + 2891336453u;
  let w = ((s >> ((s >> 28u) + 4u)) ^ s) * 277803737u;
  return (w >> 22u) ^ w;
}
fn uniform_at(key: u32, site: u32, i: u32) -> f32 {
  return f32(pcg(i ^ pcg(site ^ key)) >> 8u) * 5.9604644775390625e-8;
}

fn finish(i: u32, v: f32) {
  let v0: f32 = (b0[i] * select(0.0, 1.0 / max(1.0 - 0.10000000149011612f, 1e-6), uniform_at(b1[0u], 3u, (i)) >= 0.10000000149011612f));
  let v1: f32 = gelu(v0);
  let v2: f32 = (v1 * 2.0f);
  b2[i] = v2;
}

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wid.y * groups.x + wid.x) * 64u + lane;
  if (i >= 40u) { return; }
  finish(i, 0.0);
}
