// matmul+add+gelu+add.shared, grid 1 × 2 × 1
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
var<workgroup> tileA: array<vec4f, 256>;
var<workgroup> tileB: array<vec4f, 256>;

fn finish(i: u32, v: f32) {
  let v1: f32 = (v + b2[(i % 64u)]);
  let v2: f32 = gelu(v1);
  let v3: f32 = (v2 + b3[i]);
  b4[i] = v3;
}

@compute @workgroup_size(256, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tx = lane % 16u;
  let ty = lane / 16u;
  let aBase = wid.z * 2240u;
  let bBase = 0u;
  var c0 = vec4f(); var c1 = vec4f(); var c2 = vec4f(); var c3 = vec4f();
  for (var k0 = 0u; k0 < 32u; k0 += 16u) {
    tileA[lane] = b0[(aBase + min(wid.y * 64u + lane / 4u, 69u) * 32u + min(k0 + 4u * (lane % 4u), 28u)) / 4u];
    tileB[lane] = b1[(bBase + min(wid.x * 64u + lane / 4u, 63u) * 32u + min(k0 + 4u * (lane % 4u), 28u)) / 4u];
    workgroupBarrier();
    for (var q = 0u; q < 4u; q++) {
      let a0 = tileA[(4u * ty + 0u) * 4u + q];
      let a1 = tileA[(4u * ty + 1u) * 4u + q];
      let a2 = tileA[(4u * ty + 2u) * 4u + q];
      let a3 = tileA[(4u * ty + 3u) * 4u + q];
      let t0 = tileB[(4u * tx + 0u) * 4u + q];
      let t1 = tileB[(4u * tx + 1u) * 4u + q];
      let t2 = tileB[(4u * tx + 2u) * 4u + q];
      let t3 = tileB[(4u * tx + 3u) * 4u + q];
      let b0 = vec4f(t0[0], t1[0], t2[0], t3[0]);
      let b1 = vec4f(t0[1], t1[1], t2[1], t3[1]);
      let b2 = vec4f(t0[2], t1[2], t2[2], t3[2]);
      let b3 = vec4f(t0[3], t1[3], t2[3], t3[3]);
      c0 += a0[0] * b0; c1 += a1[0] * b0; c2 += a2[0] * b0; c3 += a3[0] * b0;
      c0 += a0[1] * b1; c1 += a1[1] * b1; c2 += a2[1] * b1; c3 += a3[1] * b1;
      c0 += a0[2] * b2; c1 += a1[2] * b2; c2 += a2[2] * b2; c3 += a3[2] * b2;
      c0 += a0[3] * b3; c1 += a1[3] * b3; c2 += a2[3] * b3; c3 += a3[3] * b3;
    }
    workgroupBarrier();
  }
  var tile = array<vec4f, 4>(c0, c1, c2, c3);
  for (var e = 0u; e < 4u; e++) {
    let r = wid.y * 64u + 4u * ty + e;
    let j = wid.x * 64u + 4u * tx;
    if (r >= 70u || j >= 64u) { continue; }
    let v = tile[e];
    let y = wid.z * 4480u + r * 64u + j;
    for (var u = 0u; u < min(4u, 64u - j); u++) { finish(y + u, v[u]); }
  }
}
