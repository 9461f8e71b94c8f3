// matmul.tile, grid 1 × 2 × 1
enable subgroups;
@group(0) @binding(0) var<storage, read> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<u32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
fn int8x4(w: u32) -> vec4f { return vec4f(bitcast<vec4i>(vec4u(w << 24u, w << 16u, w << 8u, w)) >> vec4u(24u)); }
fn b1_scale(i: u32) -> f32 { return bitcast<f32>(b1[512u + i]); }
fn b1_code(i: u32) -> f32 { return f32(bitcast<i32>(b1[i >> 2u] << (24u - 8u * (i & 3u))) >> 24u); }
fn b1_code4(i: u32) -> vec4f { return int8x4(b1[i]); }

fn finish(i: u32, v: f32) {
  b2[i] = v;
}

@compute @workgroup_size(32, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {

  let tileCol = (wid.x * 8u + lane % 8u) * 8u;
  let tileRow = (wid.y * 4u + lane / 8u) * 16u;
  let outside = tileRow >= 70u || tileCol >= 64u;
  let row = min(tileRow, 64u);
  let col = min(tileCol, 56u);
  let ownRow = row + lane % 4u * 4u;
  let aBase = gid.z * 2240u;
  let bBase = 0u;
  var c0_0 = vec4f(); var c0_1 = vec4f(); var c1_0 = vec4f(); var c1_1 = vec4f(); var c2_0 = vec4f(); var c2_1 = vec4f(); var c3_0 = vec4f(); var c3_1 = vec4f(); var c4_0 = vec4f(); var c4_1 = vec4f(); var c5_0 = vec4f(); var c5_1 = vec4f(); var c6_0 = vec4f(); var c6_1 = vec4f(); var c7_0 = vec4f(); var c7_1 = vec4f(); var c8_0 = vec4f(); var c8_1 = vec4f(); var c9_0 = vec4f(); var c9_1 = vec4f(); var c10_0 = vec4f(); var c10_1 = vec4f(); var c11_0 = vec4f(); var c11_1 = vec4f(); var c12_0 = vec4f(); var c12_1 = vec4f(); var c13_0 = vec4f(); var c13_1 = vec4f(); var c14_0 = vec4f(); var c14_1 = vec4f(); var c15_0 = vec4f(); var c15_1 = vec4f();
  let s0 = b1_scale(bBase / 32u + (col + 0u)); let s1 = b1_scale(bBase / 32u + (col + 1u)); let s2 = b1_scale(bBase / 32u + (col + 2u)); let s3 = b1_scale(bBase / 32u + (col + 3u)); let s4 = b1_scale(bBase / 32u + (col + 4u)); let s5 = b1_scale(bBase / 32u + (col + 5u)); let s6 = b1_scale(bBase / 32u + (col + 6u)); let s7 = b1_scale(bBase / 32u + (col + 7u));
  for (var kq = 0u; kq < 8u; kq++) {
    let own0 = b0[aBase / 4u + min(ownRow + 0u, 69u) * 8u + kq];
    let own1 = b0[aBase / 4u + min(ownRow + 1u, 69u) * 8u + kq];
    let own2 = b0[aBase / 4u + min(ownRow + 2u, 69u) * 8u + kq];
    let own3 = b0[aBase / 4u + min(ownRow + 3u, 69u) * 8u + kq];
    let a0 = quadBroadcast(own0, 0u);
    let a1 = quadBroadcast(own1, 0u);
    let a2 = quadBroadcast(own2, 0u);
    let a3 = quadBroadcast(own3, 0u);
    let a4 = quadBroadcast(own0, 1u);
    let a5 = quadBroadcast(own1, 1u);
    let a6 = quadBroadcast(own2, 1u);
    let a7 = quadBroadcast(own3, 1u);
    let a8 = quadBroadcast(own0, 2u);
    let a9 = quadBroadcast(own1, 2u);
    let a10 = quadBroadcast(own2, 2u);
    let a11 = quadBroadcast(own3, 2u);
    let a12 = quadBroadcast(own0, 3u);
    let a13 = quadBroadcast(own1, 3u);
    let a14 = quadBroadcast(own2, 3u);
    let a15 = quadBroadcast(own3, 3u);
    let t0 = (b1_code4(bBase / 4u + (col + 0u) * 8u + kq) * s0);
    let t1 = (b1_code4(bBase / 4u + (col + 1u) * 8u + kq) * s1);
    let t2 = (b1_code4(bBase / 4u + (col + 2u) * 8u + kq) * s2);
    let t3 = (b1_code4(bBase / 4u + (col + 3u) * 8u + kq) * s3);
    let t4 = (b1_code4(bBase / 4u + (col + 4u) * 8u + kq) * s4);
    let t5 = (b1_code4(bBase / 4u + (col + 5u) * 8u + kq) * s5);
    let t6 = (b1_code4(bBase / 4u + (col + 6u) * 8u + kq) * s6);
    let t7 = (b1_code4(bBase / 4u + (col + 7u) * 8u + kq) * s7);
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
    c8_0 += a8[0] * b0_0;     c8_1 += a8[0] * b1_0;
    c9_0 += a9[0] * b0_0;     c9_1 += a9[0] * b1_0;
    c10_0 += a10[0] * b0_0;     c10_1 += a10[0] * b1_0;
    c11_0 += a11[0] * b0_0;     c11_1 += a11[0] * b1_0;
    c12_0 += a12[0] * b0_0;     c12_1 += a12[0] * b1_0;
    c13_0 += a13[0] * b0_0;     c13_1 += a13[0] * b1_0;
    c14_0 += a14[0] * b0_0;     c14_1 += a14[0] * b1_0;
    c15_0 += a15[0] * b0_0;     c15_1 += a15[0] * b1_0;
    c0_0 += a0[1] * b0_1;     c0_1 += a0[1] * b1_1;
    c1_0 += a1[1] * b0_1;     c1_1 += a1[1] * b1_1;
    c2_0 += a2[1] * b0_1;     c2_1 += a2[1] * b1_1;
    c3_0 += a3[1] * b0_1;     c3_1 += a3[1] * b1_1;
    c4_0 += a4[1] * b0_1;     c4_1 += a4[1] * b1_1;
    c5_0 += a5[1] * b0_1;     c5_1 += a5[1] * b1_1;
    c6_0 += a6[1] * b0_1;     c6_1 += a6[1] * b1_1;
    c7_0 += a7[1] * b0_1;     c7_1 += a7[1] * b1_1;
    c8_0 += a8[1] * b0_1;     c8_1 += a8[1] * b1_1;
    c9_0 += a9[1] * b0_1;     c9_1 += a9[1] * b1_1;
    c10_0 += a10[1] * b0_1;     c10_1 += a10[1] * b1_1;
    c11_0 += a11[1] * b0_1;     c11_1 += a11[1] * b1_1;
    c12_0 += a12[1] * b0_1;     c12_1 += a12[1] * b1_1;
    c13_0 += a13[1] * b0_1;     c13_1 += a13[1] * b1_1;
    c14_0 += a14[1] * b0_1;     c14_1 += a14[1] * b1_1;
    c15_0 += a15[1] * b0_1;     c15_1 += a15[1] * b1_1;
    c0_0 += a0[2] * b0_2;     c0_1 += a0[2] * b1_2;
    c1_0 += a1[2] * b0_2;     c1_1 += a1[2] * b1_2;
    c2_0 += a2[2] * b0_2;     c2_1 += a2[2] * b1_2;
    c3_0 += a3[2] * b0_2;     c3_1 += a3[2] * b1_2;
    c4_0 += a4[2] * b0_2;     c4_1 += a4[2] * b1_2;
    c5_0 += a5[2] * b0_2;     c5_1 += a5[2] * b1_2;
    c6_0 += a6[2] * b0_2;     c6_1 += a6[2] * b1_2;
    c7_0 += a7[2] * b0_2;     c7_1 += a7[2] * b1_2;
    c8_0 += a8[2] * b0_2;     c8_1 += a8[2] * b1_2;
    c9_0 += a9[2] * b0_2;     c9_1 += a9[2] * b1_2;
    c10_0 += a10[2] * b0_2;     c10_1 += a10[2] * b1_2;
    c11_0 += a11[2] * b0_2;     c11_1 += a11[2] * b1_2;
    c12_0 += a12[2] * b0_2;     c12_1 += a12[2] * b1_2;
    c13_0 += a13[2] * b0_2;     c13_1 += a13[2] * b1_2;
    c14_0 += a14[2] * b0_2;     c14_1 += a14[2] * b1_2;
    c15_0 += a15[2] * b0_2;     c15_1 += a15[2] * b1_2;
    c0_0 += a0[3] * b0_3;     c0_1 += a0[3] * b1_3;
    c1_0 += a1[3] * b0_3;     c1_1 += a1[3] * b1_3;
    c2_0 += a2[3] * b0_3;     c2_1 += a2[3] * b1_3;
    c3_0 += a3[3] * b0_3;     c3_1 += a3[3] * b1_3;
    c4_0 += a4[3] * b0_3;     c4_1 += a4[3] * b1_3;
    c5_0 += a5[3] * b0_3;     c5_1 += a5[3] * b1_3;
    c6_0 += a6[3] * b0_3;     c6_1 += a6[3] * b1_3;
    c7_0 += a7[3] * b0_3;     c7_1 += a7[3] * b1_3;
    c8_0 += a8[3] * b0_3;     c8_1 += a8[3] * b1_3;
    c9_0 += a9[3] * b0_3;     c9_1 += a9[3] * b1_3;
    c10_0 += a10[3] * b0_3;     c10_1 += a10[3] * b1_3;
    c11_0 += a11[3] * b0_3;     c11_1 += a11[3] * b1_3;
    c12_0 += a12[3] * b0_3;     c12_1 += a12[3] * b1_3;
    c13_0 += a13[3] * b0_3;     c13_1 += a13[3] * b1_3;
    c14_0 += a14[3] * b0_3;     c14_1 += a14[3] * b1_3;
    c15_0 += a15[3] * b0_3;     c15_1 += a15[3] * b1_3;
  }

  if (outside) { return; }
  var tile = array<vec4f, 32>(c0_0, c0_1, c1_0, c1_1, c2_0, c2_1, c3_0, c3_1, c4_0, c4_1, c5_0, c5_1, c6_0, c6_1, c7_0, c7_1, c8_0, c8_1, c9_0, c9_1, c10_0, c10_1, c11_0, c11_1, c12_0, c12_1, c13_0, c13_1, c14_0, c14_1, c15_0, c15_1);
  // A loop, not a copy of the epilogue for each element: shaders compile several times faster.
  for (var e = 0u; e < 32u; e++) {
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
enable subgroups;
@group(0) @binding(0) var<storage, read_write> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<u32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
fn int8x4(w: u32) -> vec4f { return vec4f(bitcast<vec4i>(vec4u(w << 24u, w << 16u, w << 8u, w)) >> vec4u(24u)); }
fn b1_scale(i: u32) -> f32 { return bitcast<f32>(b1[512u + i]); }
fn b1_code(i: u32) -> f32 { return f32(bitcast<i32>(b1[i >> 2u] << (24u - 8u * (i & 3u))) >> 24u); }
fn b1_code4(i: u32) -> vec4f { return int8x4(b1[i]); }

fn finish(i: u32, v: f32) {
  let v1: f32 = v;
  b2[i] = v1;
}

@compute @workgroup_size(32, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {

  let tileCol = (wid.x * 8u + lane % 8u) * 8u;
  let tileRow = (wid.y * 4u + lane / 8u) * 16u;
  let outside = tileRow >= 70u || tileCol >= 32u;
  let row = min(tileRow, 64u);
  let col = min(tileCol, 24u);
  let ownRow = row + lane % 4u * 4u;
  let aBase = gid.z * 4480u;
  let bBase = 0u;
  var c0_0 = vec4f(); var c0_1 = vec4f(); var c1_0 = vec4f(); var c1_1 = vec4f(); var c2_0 = vec4f(); var c2_1 = vec4f(); var c3_0 = vec4f(); var c3_1 = vec4f(); var c4_0 = vec4f(); var c4_1 = vec4f(); var c5_0 = vec4f(); var c5_1 = vec4f(); var c6_0 = vec4f(); var c6_1 = vec4f(); var c7_0 = vec4f(); var c7_1 = vec4f(); var c8_0 = vec4f(); var c8_1 = vec4f(); var c9_0 = vec4f(); var c9_1 = vec4f(); var c10_0 = vec4f(); var c10_1 = vec4f(); var c11_0 = vec4f(); var c11_1 = vec4f(); var c12_0 = vec4f(); var c12_1 = vec4f(); var c13_0 = vec4f(); var c13_1 = vec4f(); var c14_0 = vec4f(); var c14_1 = vec4f(); var c15_0 = vec4f(); var c15_1 = vec4f();
  for (var kq = 0u; kq < 16u; kq++) {
    let own0 = b0[aBase / 4u + min(ownRow + 0u, 69u) * 16u + kq];
    let own1 = b0[aBase / 4u + min(ownRow + 1u, 69u) * 16u + kq];
    let own2 = b0[aBase / 4u + min(ownRow + 2u, 69u) * 16u + kq];
    let own3 = b0[aBase / 4u + min(ownRow + 3u, 69u) * 16u + kq];
    let a0 = quadBroadcast(own0, 0u);
    let a1 = quadBroadcast(own1, 0u);
    let a2 = quadBroadcast(own2, 0u);
    let a3 = quadBroadcast(own3, 0u);
    let a4 = quadBroadcast(own0, 1u);
    let a5 = quadBroadcast(own1, 1u);
    let a6 = quadBroadcast(own2, 1u);
    let a7 = quadBroadcast(own3, 1u);
    let a8 = quadBroadcast(own0, 2u);
    let a9 = quadBroadcast(own1, 2u);
    let a10 = quadBroadcast(own2, 2u);
    let a11 = quadBroadcast(own3, 2u);
    let a12 = quadBroadcast(own0, 3u);
    let a13 = quadBroadcast(own1, 3u);
    let a14 = quadBroadcast(own2, 3u);
    let a15 = quadBroadcast(own3, 3u);
    let s0 = b1_scale(bBase / 32u + (4u * kq + 0u));
    let b0_0 = (b1_code4(bBase / 4u + (4u * kq + 0u) * 8u + (col / 4u + 0u)) * s0);
    let b1_0 = (b1_code4(bBase / 4u + (4u * kq + 0u) * 8u + (col / 4u + 1u)) * s0);
    let s1 = b1_scale(bBase / 32u + (4u * kq + 1u));
    let b0_1 = (b1_code4(bBase / 4u + (4u * kq + 1u) * 8u + (col / 4u + 0u)) * s1);
    let b1_1 = (b1_code4(bBase / 4u + (4u * kq + 1u) * 8u + (col / 4u + 1u)) * s1);
    let s2 = b1_scale(bBase / 32u + (4u * kq + 2u));
    let b0_2 = (b1_code4(bBase / 4u + (4u * kq + 2u) * 8u + (col / 4u + 0u)) * s2);
    let b1_2 = (b1_code4(bBase / 4u + (4u * kq + 2u) * 8u + (col / 4u + 1u)) * s2);
    let s3 = b1_scale(bBase / 32u + (4u * kq + 3u));
    let b0_3 = (b1_code4(bBase / 4u + (4u * kq + 3u) * 8u + (col / 4u + 0u)) * s3);
    let b1_3 = (b1_code4(bBase / 4u + (4u * kq + 3u) * 8u + (col / 4u + 1u)) * s3);
    c0_0 += a0[0] * b0_0;     c0_1 += a0[0] * b1_0;
    c1_0 += a1[0] * b0_0;     c1_1 += a1[0] * b1_0;
    c2_0 += a2[0] * b0_0;     c2_1 += a2[0] * b1_0;
    c3_0 += a3[0] * b0_0;     c3_1 += a3[0] * b1_0;
    c4_0 += a4[0] * b0_0;     c4_1 += a4[0] * b1_0;
    c5_0 += a5[0] * b0_0;     c5_1 += a5[0] * b1_0;
    c6_0 += a6[0] * b0_0;     c6_1 += a6[0] * b1_0;
    c7_0 += a7[0] * b0_0;     c7_1 += a7[0] * b1_0;
    c8_0 += a8[0] * b0_0;     c8_1 += a8[0] * b1_0;
    c9_0 += a9[0] * b0_0;     c9_1 += a9[0] * b1_0;
    c10_0 += a10[0] * b0_0;     c10_1 += a10[0] * b1_0;
    c11_0 += a11[0] * b0_0;     c11_1 += a11[0] * b1_0;
    c12_0 += a12[0] * b0_0;     c12_1 += a12[0] * b1_0;
    c13_0 += a13[0] * b0_0;     c13_1 += a13[0] * b1_0;
    c14_0 += a14[0] * b0_0;     c14_1 += a14[0] * b1_0;
    c15_0 += a15[0] * b0_0;     c15_1 += a15[0] * b1_0;
    c0_0 += a0[1] * b0_1;     c0_1 += a0[1] * b1_1;
    c1_0 += a1[1] * b0_1;     c1_1 += a1[1] * b1_1;
    c2_0 += a2[1] * b0_1;     c2_1 += a2[1] * b1_1;
    c3_0 += a3[1] * b0_1;     c3_1 += a3[1] * b1_1;
    c4_0 += a4[1] * b0_1;     c4_1 += a4[1] * b1_1;
    c5_0 += a5[1] * b0_1;     c5_1 += a5[1] * b1_1;
    c6_0 += a6[1] * b0_1;     c6_1 += a6[1] * b1_1;
    c7_0 += a7[1] * b0_1;     c7_1 += a7[1] * b1_1;
    c8_0 += a8[1] * b0_1;     c8_1 += a8[1] * b1_1;
    c9_0 += a9[1] * b0_1;     c9_1 += a9[1] * b1_1;
    c10_0 += a10[1] * b0_1;     c10_1 += a10[1] * b1_1;
    c11_0 += a11[1] * b0_1;     c11_1 += a11[1] * b1_1;
    c12_0 += a12[1] * b0_1;     c12_1 += a12[1] * b1_1;
    c13_0 += a13[1] * b0_1;     c13_1 += a13[1] * b1_1;
    c14_0 += a14[1] * b0_1;     c14_1 += a14[1] * b1_1;
    c15_0 += a15[1] * b0_1;     c15_1 += a15[1] * b1_1;
    c0_0 += a0[2] * b0_2;     c0_1 += a0[2] * b1_2;
    c1_0 += a1[2] * b0_2;     c1_1 += a1[2] * b1_2;
    c2_0 += a2[2] * b0_2;     c2_1 += a2[2] * b1_2;
    c3_0 += a3[2] * b0_2;     c3_1 += a3[2] * b1_2;
    c4_0 += a4[2] * b0_2;     c4_1 += a4[2] * b1_2;
    c5_0 += a5[2] * b0_2;     c5_1 += a5[2] * b1_2;
    c6_0 += a6[2] * b0_2;     c6_1 += a6[2] * b1_2;
    c7_0 += a7[2] * b0_2;     c7_1 += a7[2] * b1_2;
    c8_0 += a8[2] * b0_2;     c8_1 += a8[2] * b1_2;
    c9_0 += a9[2] * b0_2;     c9_1 += a9[2] * b1_2;
    c10_0 += a10[2] * b0_2;     c10_1 += a10[2] * b1_2;
    c11_0 += a11[2] * b0_2;     c11_1 += a11[2] * b1_2;
    c12_0 += a12[2] * b0_2;     c12_1 += a12[2] * b1_2;
    c13_0 += a13[2] * b0_2;     c13_1 += a13[2] * b1_2;
    c14_0 += a14[2] * b0_2;     c14_1 += a14[2] * b1_2;
    c15_0 += a15[2] * b0_2;     c15_1 += a15[2] * b1_2;
    c0_0 += a0[3] * b0_3;     c0_1 += a0[3] * b1_3;
    c1_0 += a1[3] * b0_3;     c1_1 += a1[3] * b1_3;
    c2_0 += a2[3] * b0_3;     c2_1 += a2[3] * b1_3;
    c3_0 += a3[3] * b0_3;     c3_1 += a3[3] * b1_3;
    c4_0 += a4[3] * b0_3;     c4_1 += a4[3] * b1_3;
    c5_0 += a5[3] * b0_3;     c5_1 += a5[3] * b1_3;
    c6_0 += a6[3] * b0_3;     c6_1 += a6[3] * b1_3;
    c7_0 += a7[3] * b0_3;     c7_1 += a7[3] * b1_3;
    c8_0 += a8[3] * b0_3;     c8_1 += a8[3] * b1_3;
    c9_0 += a9[3] * b0_3;     c9_1 += a9[3] * b1_3;
    c10_0 += a10[3] * b0_3;     c10_1 += a10[3] * b1_3;
    c11_0 += a11[3] * b0_3;     c11_1 += a11[3] * b1_3;
    c12_0 += a12[3] * b0_3;     c12_1 += a12[3] * b1_3;
    c13_0 += a13[3] * b0_3;     c13_1 += a13[3] * b1_3;
    c14_0 += a14[3] * b0_3;     c14_1 += a14[3] * b1_3;
    c15_0 += a15[3] * b0_3;     c15_1 += a15[3] * b1_3;
  }

  if (outside) { return; }
  var tile = array<vec4f, 32>(c0_0, c0_1, c1_0, c1_1, c2_0, c2_1, c3_0, c3_1, c4_0, c4_1, c5_0, c5_1, c6_0, c6_1, c7_0, c7_1, c8_0, c8_1, c9_0, c9_1, c10_0, c10_1, c11_0, c11_1, c12_0, c12_1, c13_0, c13_1, c14_0, c14_1, c15_0, c15_1);
  // A loop, not a copy of the epilogue for each element: shaders compile several times faster.
  for (var e = 0u; e < 32u; e++) {
    let r = row + e / 2u;
    let j = col + 4u * (e % 2u);
    if (r >= 70u || j >= 32u) { continue; }
    let v = tile[e];
    let y = gid.z * 2240u + r * 32u + j;
    finish(y + 0u, v[0]); finish(y + 1u, v[1]); finish(y + 2u, v[2]); finish(y + 3u, v[3]);
  }
}
