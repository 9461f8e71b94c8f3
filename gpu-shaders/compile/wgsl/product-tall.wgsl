// matmul+add+gelu+add.tile, grid 1 × 2 × 1
enable subgroups;
@group(0) @binding(0) var<storage, read> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<vec4f>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read> b3: array<f32>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;
fn erf(x: f32) -> f32 {
  let a = abs(x);
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return sign(x) * (1.0 - p * exp(-min(a * a, 87.0)));
}
fn gelu(x: f32) -> f32 { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }

fn finish(i: u32, v: f32) {
  let v1: f32 = (v + b2[(i % 64u)]);
  let v2: f32 = gelu(v1);
  let v3: f32 = (v2 + b3[i]);
  b4[i] = v3;
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
    let b0_0 = b1[bBase / 4u + (4u * kq + 0u) * 16u + (col / 4u + 0u)];
    let b1_0 = b1[bBase / 4u + (4u * kq + 0u) * 16u + (col / 4u + 1u)];
    let b0_1 = b1[bBase / 4u + (4u * kq + 1u) * 16u + (col / 4u + 0u)];
    let b1_1 = b1[bBase / 4u + (4u * kq + 1u) * 16u + (col / 4u + 1u)];
    let b0_2 = b1[bBase / 4u + (4u * kq + 2u) * 16u + (col / 4u + 0u)];
    let b1_2 = b1[bBase / 4u + (4u * kq + 2u) * 16u + (col / 4u + 1u)];
    let b0_3 = b1[bBase / 4u + (4u * kq + 3u) * 16u + (col / 4u + 0u)];
    let b1_3 = b1[bBase / 4u + (4u * kq + 3u) * 16u + (col / 4u + 1u)];
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
