// matmul.shared, grid 1 × 2 × 1
@group(0) @binding(0) var<storage, read> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<u32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
fn int8x4(w: u32) -> vec4f { return vec4f(bitcast<vec4i>(vec4u(w << 24u, w << 16u, w << 8u, w)) >> vec4u(24u)); }
fn b1_scale(i: u32) -> f32 { return bitcast<f32>(b1[512u + i]); }
fn b1_code(i: u32) -> f32 { return f32(bitcast<i32>(b1[i >> 2u] << (24u - 8u * (i & 3u))) >> 24u); }
fn b1_code4(i: u32) -> vec4f { return int8x4(b1[i]); }
var<workgroup> tileA: array<vec4f, 256>;
var<workgroup> tileB: array<vec4f, 256>;

fn finish(i: u32, v: f32) {
  b2[i] = v;
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
    tileB[lane] = (b1_code4((bBase + min(wid.x * 64u + lane / 4u, 63u) * 32u + min(k0 + 4u * (lane % 4u), 28u)) / 4u) * b1_scale(bBase / 32u + min(wid.x * 64u + lane / 4u, 63u)));
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

// matmul+copy.shared, grid 1 × 2 × 1
@group(0) @binding(0) var<storage, read_write> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<u32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
fn int8x4(w: u32) -> vec4f { return vec4f(bitcast<vec4i>(vec4u(w << 24u, w << 16u, w << 8u, w)) >> vec4u(24u)); }
fn b1_scale(i: u32) -> f32 { return bitcast<f32>(b1[512u + i]); }
fn b1_code(i: u32) -> f32 { return f32(bitcast<i32>(b1[i >> 2u] << (24u - 8u * (i & 3u))) >> 24u); }
fn b1_code4(i: u32) -> vec4f { return int8x4(b1[i]); }
var<workgroup> tileA: array<vec4f, 256>;
var<workgroup> tileB: array<vec4f, 256>;

fn finish(i: u32, v: f32) {
  let v1: f32 = v;
  b2[i] = v1;
}

@compute @workgroup_size(256, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tx = lane % 16u;
  let ty = lane / 16u;
  let aBase = wid.z * 4480u;
  let bBase = 0u;
  var c0 = vec4f(); var c1 = vec4f(); var c2 = vec4f(); var c3 = vec4f();
  for (var k0 = 0u; k0 < 64u; k0 += 16u) {
    tileA[lane] = b0[(aBase + min(wid.y * 64u + lane / 4u, 69u) * 64u + min(k0 + 4u * (lane % 4u), 60u)) / 4u];
    tileB[lane] = (b1_code4((bBase + min(k0 + lane / 16u, 63u) * 32u + min(wid.x * 64u + 4u * (lane % 16u), 28u)) / 4u) * b1_scale(bBase / 32u + min(k0 + lane / 16u, 63u)));
    workgroupBarrier();
    for (var q = 0u; q < 4u; q++) {
      let a0 = tileA[(4u * ty + 0u) * 4u + q];
      let a1 = tileA[(4u * ty + 1u) * 4u + q];
      let a2 = tileA[(4u * ty + 2u) * 4u + q];
      let a3 = tileA[(4u * ty + 3u) * 4u + q];
      let b0 = tileB[(4u * q + 0u) * 16u + tx];
      let b1 = tileB[(4u * q + 1u) * 16u + tx];
      let b2 = tileB[(4u * q + 2u) * 16u + tx];
      let b3 = tileB[(4u * q + 3u) * 16u + tx];
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
    if (r >= 70u || j >= 32u) { continue; }
    let v = tile[e];
    let y = wid.z * 2240u + r * 32u + j;
    for (var u = 0u; u < min(4u, 32u - j); u++) { finish(y + u, v[u]); }
  }
}
