// matmul.tile, grid 1 × 3 × 1
@group(0) @binding(0) var<storage, read> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<u32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
var<private> nf4_values: array<f32, 16> = array<f32, 16>(-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f);
fn nf4(w: u32) -> f32 { return nf4_values[w & 15u]; }
fn nf4x4(w: u32) -> vec4f { return vec4f(nf4(w), nf4(w >> 4u), nf4(w >> 8u), nf4(w >> 12u)); }
fn b1_scale(i: u32) -> f32 { return bitcast<f32>(b1[256u + i]); }
fn b1_code(i: u32) -> f32 { return nf4(b1[i >> 3u] >> (4u * (i & 7u))); }
fn b1_code4(i: u32) -> vec4f { return nf4x4(b1[i >> 1u] >> (16u * (i & 1u))); }

fn finish(i: u32, v: f32) {
  b2[i] = v;
}

@compute @workgroup_size(32, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {

  let tileCol = (wid.x * 8u + lane % 8u) * 8u;
  let tileRow = (wid.y * 4u + lane / 8u) * 8u;
  let outside = tileRow >= 70u || tileCol >= 64u;
  if (outside) { return; }
  let row = tileRow;
  let col = tileCol;
  let aBase = gid.z * 2240u;
  let bBase = 0u;
  var c0_0 = vec4f(); var c0_1 = vec4f(); var c1_0 = vec4f(); var c1_1 = vec4f(); var c2_0 = vec4f(); var c2_1 = vec4f(); var c3_0 = vec4f(); var c3_1 = vec4f(); var c4_0 = vec4f(); var c4_1 = vec4f(); var c5_0 = vec4f(); var c5_1 = vec4f(); var c6_0 = vec4f(); var c6_1 = vec4f(); var c7_0 = vec4f(); var c7_1 = vec4f();
  for (var kq = 0u; kq < 8u; kq++) {
    let a0 = b0[aBase / 4u + min(row + 0u, 69u) * 8u + kq];
    let a1 = b0[aBase / 4u + min(row + 1u, 69u) * 8u + kq];
    let a2 = b0[aBase / 4u + min(row + 2u, 69u) * 8u + kq];
    let a3 = b0[aBase / 4u + min(row + 3u, 69u) * 8u + kq];
    let a4 = b0[aBase / 4u + min(row + 4u, 69u) * 8u + kq];
    let a5 = b0[aBase / 4u + min(row + 5u, 69u) * 8u + kq];
    let a6 = b0[aBase / 4u + min(row + 6u, 69u) * 8u + kq];
    let a7 = b0[aBase / 4u + min(row + 7u, 69u) * 8u + kq];
    let t0 = (b1_code4(bBase / 4u + (col + 0u) * 8u + kq) * b1_scale((bBase / 4u + (col + 0u) * 8u + kq) / 16u));
    let t1 = (b1_code4(bBase / 4u + (col + 1u) * 8u + kq) * b1_scale((bBase / 4u + (col + 1u) * 8u + kq) / 16u));
    let t2 = (b1_code4(bBase / 4u + (col + 2u) * 8u + kq) * b1_scale((bBase / 4u + (col + 2u) * 8u + kq) / 16u));
    let t3 = (b1_code4(bBase / 4u + (col + 3u) * 8u + kq) * b1_scale((bBase / 4u + (col + 3u) * 8u + kq) / 16u));
    let t4 = (b1_code4(bBase / 4u + (col + 4u) * 8u + kq) * b1_scale((bBase / 4u + (col + 4u) * 8u + kq) / 16u));
    let t5 = (b1_code4(bBase / 4u + (col + 5u) * 8u + kq) * b1_scale((bBase / 4u + (col + 5u) * 8u + kq) / 16u));
    let t6 = (b1_code4(bBase / 4u + (col + 6u) * 8u + kq) * b1_scale((bBase / 4u + (col + 6u) * 8u + kq) / 16u));
    let t7 = (b1_code4(bBase / 4u + (col + 7u) * 8u + kq) * b1_scale((bBase / 4u + (col + 7u) * 8u + kq) / 16u));
    let b0_0 = vec4f(t0[0], t1[0], t2[0], t3[0]);
    let b1_0 = vec4f(t4[0], t5[0], t6[0], t7[0]);
    let b0_1 = vec4f(t0[1], t1[1], t2[1], t3[1]);
    let b1_1 = vec4f(t4[1], t5[1], t6[1], t7[1]);
    let b0_2 = vec4f(t0[2], t1[2], t2[2], t3[2]);
    let b1_2 = vec4f(t4[2], t5[2], t6[2], t7[2]);
    let b0_3 = vec4f(t0[3], t1[3], t2[3], t3[3]);
    let b1_3 = vec4f(t4[3], t5[3], t6[3], t7[3]);
    c0_0 += a0[0] * b0_0;     c0_1 += a0[0] * b1_0;
    c1_0 += a1[0] * b0_0;     c1_1 += a1[0] * b1_0;
    c2_0 += a2[0] * b0_0;     c2_1 += a2[0] * b1_0;
    c3_0 += a3[0] * b0_0;     c3_1 += a3[0] * b1_0;
    c4_0 += a4[0] * b0_0;     c4_1 += a4[0] * b1_0;
    c5_0 += a5[0] * b0_0;     c5_1 += a5[0] * b1_0;
    c6_0 += a6[0] * b0_0;     c6_1 += a6[0] * b1_0;
    c7_0 += a7[0] * b0_0;     c7_1 += a7[0] * b1_0;
    c0_0 += a0[1] * b0_1;     c0_1 += a0[1] * b1_1;
    c1_0 += a1[1] * b0_1;     c1_1 += a1[1] * b1_1;
    c2_0 += a2[1] * b0_1;     c2_1 += a2[1] * b1_1;
    c3_0 += a3[1] * b0_1;     c3_1 += a3[1] * b1_1;
    c4_0 += a4[1] * b0_1;     c4_1 += a4[1] * b1_1;
    c5_0 += a5[1] * b0_1;     c5_1 += a5[1] * b1_1;
    c6_0 += a6[1] * b0_1;     c6_1 += a6[1] * b1_1;
    c7_0 += a7[1] * b0_1;     c7_1 += a7[1] * b1_1;
    c0_0 += a0[2] * b0_2;     c0_1 += a0[2] * b1_2;
    c1_0 += a1[2] * b0_2;     c1_1 += a1[2] * b1_2;
    c2_0 += a2[2] * b0_2;     c2_1 += a2[2] * b1_2;
    c3_0 += a3[2] * b0_2;     c3_1 += a3[2] * b1_2;
    c4_0 += a4[2] * b0_2;     c4_1 += a4[2] * b1_2;
    c5_0 += a5[2] * b0_2;     c5_1 += a5[2] * b1_2;
    c6_0 += a6[2] * b0_2;     c6_1 += a6[2] * b1_2;
    c7_0 += a7[2] * b0_2;     c7_1 += a7[2] * b1_2;
    c0_0 += a0[3] * b0_3;     c0_1 += a0[3] * b1_3;
    c1_0 += a1[3] * b0_3;     c1_1 += a1[3] * b1_3;
    c2_0 += a2[3] * b0_3;     c2_1 += a2[3] * b1_3;
    c3_0 += a3[3] * b0_3;     c3_1 += a3[3] * b1_3;
    c4_0 += a4[3] * b0_3;     c4_1 += a4[3] * b1_3;
    c5_0 += a5[3] * b0_3;     c5_1 += a5[3] * b1_3;
    c6_0 += a6[3] * b0_3;     c6_1 += a6[3] * b1_3;
    c7_0 += a7[3] * b0_3;     c7_1 += a7[3] * b1_3;
  }

  
  var tile = array<vec4f, 16>(c0_0, c0_1, c1_0, c1_1, c2_0, c2_1, c3_0, c3_1, c4_0, c4_1, c5_0, c5_1, c6_0, c6_1, c7_0, c7_1);
  // A loop, not a copy of the epilogue for each element: shaders compile several times faster.
  for (var e = 0u; e < 16u; e++) {
    let r = row + e / 2u;
    let j = col + 4u * (e % 2u);
    if (r >= 70u || j >= 64u) { continue; }
    let v = tile[e];
    let y = gid.z * 4480u + r * 64u + j;
    finish(y + 0u, v[0]); finish(y + 1u, v[1]); finish(y + 2u, v[2]); finish(y + 3u, v[3]);
  }
}

// mul, grid 70 × 1 × 1
@group(0) @binding(0) var<storage, read> b0: array<f32>;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;

fn finish(i: u32, v: f32) {
  let v0: f32 = (b0[i] * b1[i]);
  b2[i] = v0;
}

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wid.y * groups.x + wid.x) * 64u + lane;
  if (i >= 4480u) { return; }
  finish(i, 0.0);
}

// matmul+copy.tile, grid 1 × 2 × 1
@group(0) @binding(0) var<storage, read_write> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<u32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
var<private> nf4_values: array<f32, 16> = array<f32, 16>(-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f);
fn nf4(w: u32) -> f32 { return nf4_values[w & 15u]; }
fn nf4x4(w: u32) -> vec4f { return vec4f(nf4(w), nf4(w >> 4u), nf4(w >> 8u), nf4(w >> 12u)); }
fn b1_scale(i: u32) -> f32 { return bitcast<f32>(b1[256u + i]); }
fn b1_code(i: u32) -> f32 { return nf4(b1[i >> 3u] >> (4u * (i & 7u))); }
fn b1_code4(i: u32) -> vec4f { return nf4x4(b1[i >> 1u] >> (16u * (i & 1u))); }

fn finish(i: u32, v: f32) {
  let v1: f32 = v;
  b2[i] = v1;
}

@compute @workgroup_size(32, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {

  let tileCol = (wid.x * 4u + lane % 4u) * 8u;
  let tileRow = (wid.y * 8u + lane / 4u) * 8u;
  let outside = tileRow >= 70u || tileCol >= 32u;
  if (outside) { return; }
  let row = tileRow;
  let col = tileCol;
  let aBase = gid.z * 4480u;
  let bBase = 0u;
  var c0_0 = vec4f(); var c0_1 = vec4f(); var c1_0 = vec4f(); var c1_1 = vec4f(); var c2_0 = vec4f(); var c2_1 = vec4f(); var c3_0 = vec4f(); var c3_1 = vec4f(); var c4_0 = vec4f(); var c4_1 = vec4f(); var c5_0 = vec4f(); var c5_1 = vec4f(); var c6_0 = vec4f(); var c6_1 = vec4f(); var c7_0 = vec4f(); var c7_1 = vec4f();
  for (var kq = 0u; kq < 16u; kq++) {
    let a0 = b0[aBase / 4u + min(row + 0u, 69u) * 16u + kq];
    let a1 = b0[aBase / 4u + min(row + 1u, 69u) * 16u + kq];
    let a2 = b0[aBase / 4u + min(row + 2u, 69u) * 16u + kq];
    let a3 = b0[aBase / 4u + min(row + 3u, 69u) * 16u + kq];
    let a4 = b0[aBase / 4u + min(row + 4u, 69u) * 16u + kq];
    let a5 = b0[aBase / 4u + min(row + 5u, 69u) * 16u + kq];
    let a6 = b0[aBase / 4u + min(row + 6u, 69u) * 16u + kq];
    let a7 = b0[aBase / 4u + min(row + 7u, 69u) * 16u + kq];
    let b0_0 = (b1_code4(bBase / 4u + (4u * kq + 0u) * 8u + (col / 4u + 0u)) * b1_scale((bBase / 4u + (4u * kq + 0u) * 8u + (col / 4u + 0u)) / 16u));
    let b1_0 = (b1_code4(bBase / 4u + (4u * kq + 0u) * 8u + (col / 4u + 1u)) * b1_scale((bBase / 4u + (4u * kq + 0u) * 8u + (col / 4u + 1u)) / 16u));
    let b0_1 = (b1_code4(bBase / 4u + (4u * kq + 1u) * 8u + (col / 4u + 0u)) * b1_scale((bBase / 4u + (4u * kq + 1u) * 8u + (col / 4u + 0u)) / 16u));
    let b1_1 = (b1_code4(bBase / 4u + (4u * kq + 1u) * 8u + (col / 4u + 1u)) * b1_scale((bBase / 4u + (4u * kq + 1u) * 8u + (col / 4u + 1u)) / 16u));
    let b0_2 = (b1_code4(bBase / 4u + (4u * kq + 2u) * 8u + (col / 4u + 0u)) * b1_scale((bBase / 4u + (4u * kq + 2u) * 8u + (col / 4u + 0u)) / 16u));
    let b1_2 = (b1_code4(bBase / 4u + (4u * kq + 2u) * 8u + (col / 4u + 1u)) * b1_scale((bBase / 4u + (4u * kq + 2u) * 8u + (col / 4u + 1u)) / 16u));
    let b0_3 = (b1_code4(bBase / 4u + (4u * kq + 3u) * 8u + (col / 4u + 0u)) * b1_scale((bBase / 4u + (4u * kq + 3u) * 8u + (col / 4u + 0u)) / 16u));
    let b1_3 = (b1_code4(bBase / 4u + (4u * kq + 3u) * 8u + (col / 4u + 1u)) * b1_scale((bBase / 4u + (4u * kq + 3u) * 8u + (col / 4u + 1u)) / 16u));
    c0_0 += a0[0] * b0_0;     c0_1 += a0[0] * b1_0;
    c1_0 += a1[0] * b0_0;     c1_1 += a1[0] * b1_0;
    c2_0 += a2[0] * b0_0;     c2_1 += a2[0] * b1_0;
    c3_0 += a3[0] * b0_0;     c3_1 += a3[0] * b1_0;
    c4_0 += a4[0] * b0_0;     c4_1 += a4[0] * b1_0;
    c5_0 += a5[0] * b0_0;     c5_1 += a5[0] * b1_0;
    c6_0 += a6[0] * b0_0;     c6_1 += a6[0] * b1_0;
    c7_0 += a7[0] * b0_0;     c7_1 += a7[0] * b1_0;
    c0_0 += a0[1] * b0_1;     c0_1 += a0[1] * b1_1;
    c1_0 += a1[1] * b0_1;     c1_1 += a1[1] * b1_1;
    c2_0 += a2[1] * b0_1;     c2_1 += a2[1] * b1_1;
    c3_0 += a3[1] * b0_1;     c3_1 += a3[1] * b1_1;
    c4_0 += a4[1] * b0_1;     c4_1 += a4[1] * b1_1;
    c5_0 += a5[1] * b0_1;     c5_1 += a5[1] * b1_1;
    c6_0 += a6[1] * b0_1;     c6_1 += a6[1] * b1_1;
    c7_0 += a7[1] * b0_1;     c7_1 += a7[1] * b1_1;
    c0_0 += a0[2] * b0_2;     c0_1 += a0[2] * b1_2;
    c1_0 += a1[2] * b0_2;     c1_1 += a1[2] * b1_2;
    c2_0 += a2[2] * b0_2;     c2_1 += a2[2] * b1_2;
    c3_0 += a3[2] * b0_2;     c3_1 += a3[2] * b1_2;
    c4_0 += a4[2] * b0_2;     c4_1 += a4[2] * b1_2;
    c5_0 += a5[2] * b0_2;     c5_1 += a5[2] * b1_2;
    c6_0 += a6[2] * b0_2;     c6_1 += a6[2] * b1_2;
    c7_0 += a7[2] * b0_2;     c7_1 += a7[2] * b1_2;
    c0_0 += a0[3] * b0_3;     c0_1 += a0[3] * b1_3;
    c1_0 += a1[3] * b0_3;     c1_1 += a1[3] * b1_3;
    c2_0 += a2[3] * b0_3;     c2_1 += a2[3] * b1_3;
    c3_0 += a3[3] * b0_3;     c3_1 += a3[3] * b1_3;
    c4_0 += a4[3] * b0_3;     c4_1 += a4[3] * b1_3;
    c5_0 += a5[3] * b0_3;     c5_1 += a5[3] * b1_3;
    c6_0 += a6[3] * b0_3;     c6_1 += a6[3] * b1_3;
    c7_0 += a7[3] * b0_3;     c7_1 += a7[3] * b1_3;
  }

  
  var tile = array<vec4f, 16>(c0_0, c0_1, c1_0, c1_1, c2_0, c2_1, c3_0, c3_1, c4_0, c4_1, c5_0, c5_1, c6_0, c6_1, c7_0, c7_1);
  // A loop, not a copy of the epilogue for each element: shaders compile several times faster.
  for (var e = 0u; e < 16u; e++) {
    let r = row + e / 2u;
    let j = col + 4u * (e % 2u);
    if (r >= 70u || j >= 32u) { continue; }
    let v = tile[e];
    let y = gid.z * 2240u + r * 32u + j;
    finish(y + 0u, v[0]); finish(y + 1u, v[1]); finish(y + 2u, v[2]); finish(y + 3u, v[3]);
  }
}
