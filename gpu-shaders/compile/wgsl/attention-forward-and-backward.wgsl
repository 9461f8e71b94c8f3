// attention.forward, grid 1 × 1 × 1
@group(0) @binding(0) var<storage, read> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<vec4f>;
@group(0) @binding(2) var<storage, read> b2: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> b3: array<f32>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;

fn finish(i: u32, v: f32) {
  b4[i] = v;
}

@compute @workgroup_size(32, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let outside = gid.x >= 8u || gid.x % 2u * 4u >= 6u;
  if (outside) { return; }
  let block = min(gid.x, 7u);
  let first = block % 2u * 4u;
  let h = block / 2u % 2u;
  let b = block / 4u;
  let qBase = b * 48u + h * 4u;
  let kBase = b * 48u + h / 1u * 4u;
  let stats = (b * 2u + h) * 6u;
    let q0 = qBase + min(first + 0u, 5u) * 8u;
    let q1 = qBase + min(first + 1u, 5u) * 8u;
    let q2 = qBase + min(first + 2u, 5u) * 8u;
    let q3 = qBase + min(first + 3u, 5u) * 8u;
  var acc: array<vec4f, 4>;
  var top0 = -1e30; var sum0 = 0.0; var top1 = -1e30; var sum1 = 0.0; var top2 = -1e30; var sum2 = 0.0; var top3 = -1e30; var sum3 = 0.0;
  for (var j = 0u; j < 6u; j += 4u) {
    let k0 = kBase + min(j + 0u, 5u) * 8u;
    let k1 = kBase + min(j + 1u, 5u) * 8u;
    let k2 = kBase + min(j + 2u, 5u) * 8u;
    let k3 = kBase + min(j + 3u, 5u) * 8u;
    var s0_0 = vec4f();
    var s1_0 = vec4f();
    var s2_0 = vec4f();
    var s3_0 = vec4f();
    for (var c = 0u; c < 1u; c++) {
      let x0 = b0[q0 / 4u + c];
      let x1 = b0[q1 / 4u + c];
      let x2 = b0[q2 / 4u + c];
      let x3 = b0[q3 / 4u + c];
      let y0 = b1[k0 / 4u + c];
      let y1 = b1[k1 / 4u + c];
      let y2 = b1[k2 / 4u + c];
      let y3 = b1[k3 / 4u + c];
      let u0_0 = vec4f(y0[0], y1[0], y2[0], y3[0]); s0_0 += x0[0] * u0_0; s1_0 += x1[0] * u0_0; s2_0 += x2[0] * u0_0; s3_0 += x3[0] * u0_0;
      let u0_1 = vec4f(y0[1], y1[1], y2[1], y3[1]); s0_0 += x0[1] * u0_1; s1_0 += x1[1] * u0_1; s2_0 += x2[1] * u0_1; s3_0 += x3[1] * u0_1;
      let u0_2 = vec4f(y0[2], y1[2], y2[2], y3[2]); s0_0 += x0[2] * u0_2; s1_0 += x1[2] * u0_2; s2_0 += x2[2] * u0_2; s3_0 += x3[2] * u0_2;
      let u0_3 = vec4f(y0[3], y1[3], y2[3], y3[3]); s0_0 += x0[3] * u0_3; s1_0 += x1[3] * u0_3; s2_0 += x2[3] * u0_3; s3_0 += x3[3] * u0_3;
    }
    let hide0 = select(vec4f(), vec4f(-1e30), (vec4u(0u, 1u, 2u, 3u) + j + 0u) >= vec4u(6u));
    s0_0 = s0_0 * 0.5f + hide0;
    s1_0 = s1_0 * 0.5f + hide0;
    s2_0 = s2_0 * 0.5f + hide0;
    s3_0 = s3_0 * 0.5f + hide0;
    let best0 = s0_0; let high0 = max(top0, max(max(best0.x, best0.y), max(best0.z, best0.w)));
    let shrink0 = exp(max(top0 - high0, -87.0)); top0 = high0;
    s0_0 = exp(max(s0_0 - high0, vec4f(-87.0)));
    sum0 = sum0 * shrink0 + dot(s0_0, vec4f(1.0));
    let best1 = s1_0; let high1 = max(top1, max(max(best1.x, best1.y), max(best1.z, best1.w)));
    let shrink1 = exp(max(top1 - high1, -87.0)); top1 = high1;
    s1_0 = exp(max(s1_0 - high1, vec4f(-87.0)));
    sum1 = sum1 * shrink1 + dot(s1_0, vec4f(1.0));
    let best2 = s2_0; let high2 = max(top2, max(max(best2.x, best2.y), max(best2.z, best2.w)));
    let shrink2 = exp(max(top2 - high2, -87.0)); top2 = high2;
    s2_0 = exp(max(s2_0 - high2, vec4f(-87.0)));
    sum2 = sum2 * shrink2 + dot(s2_0, vec4f(1.0));
    let best3 = s3_0; let high3 = max(top3, max(max(best3.x, best3.y), max(best3.z, best3.w)));
    let shrink3 = exp(max(top3 - high3, -87.0)); top3 = high3;
    s3_0 = exp(max(s3_0 - high3, vec4f(-87.0)));
    sum3 = sum3 * shrink3 + dot(s3_0, vec4f(1.0));
    for (var c = 0u; c < 1u; c++) {
      let y0 = b2[k0 / 4u + c];
      let y1 = b2[k1 / 4u + c];
      let y2 = b2[k2 / 4u + c];
      let y3 = b2[k3 / 4u + c];
      acc[0u + c] = acc[0u + c] * shrink0 + s0_0[0] * y0 + s0_0[1] * y1 + s0_0[2] * y2 + s0_0[3] * y3;
      acc[1u + c] = acc[1u + c] * shrink1 + s1_0[0] * y0 + s1_0[1] * y1 + s1_0[2] * y2 + s1_0[3] * y3;
      acc[2u + c] = acc[2u + c] * shrink2 + s2_0[0] * y0 + s2_0[1] * y1 + s2_0[2] * y2 + s2_0[3] * y3;
      acc[3u + c] = acc[3u + c] * shrink3 + s3_0[0] * y0 + s3_0[1] * y1 + s3_0[2] * y2 + s3_0[3] * y3;
    }
  }

  var sums = array<f32, 4>(sum0, sum1, sum2, sum3);
  var tops = array<f32, 4>(top0, top1, top2, top3);
  for (var r = 0u; r < min(4u, 6u - first); r++) { b3[stats + first + r] = tops[r] + log(sums[r]); }
  for (var r = 0u; r < min(4u, 6u - first); r++) {
    for (var d = 0u; d < 4u; d++) {
      finish(qBase + (first + r) * 8u + d, acc[r * 1u + d / 4u][d % 4u] * (1.0 / sums[r]));
    }
  }
}

// mul, grid 2 × 1 × 1
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
  if (i >= 96u) { return; }
  finish(i, 0.0);
}

// attentionStats, grid 1 × 1 × 1
@group(0) @binding(0) var<storage, read_write> b0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
@group(0) @binding(3) var<storage, read_write> b3: array<f32>;

fn finish(i: u32, v: f32) {
  b3[i] = v;
}

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wid.y * groups.x + wid.x) * 64u + lane;
  if (i >= 48u) { return; }

  let row = i / 2u;
  var value = 0.0;
  if (i % 2u == 0u) {
    value = b0[row];
  } else {
    let base = (row / 12u * 6u + row % 6u) * 8u + row / 6u % 2u * 4u;
    for (var e = 0u; e < 4u; e++) { value += b1[base + e] * b2[base + e]; }
  }
  finish(i, value);
}

// attentionQueryGrad+copy.query, grid 1 × 1 × 1
@group(0) @binding(0) var<storage, read> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<vec4f>;
@group(0) @binding(2) var<storage, read> b2: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> b3: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;
@group(0) @binding(5) var<storage, read_write> b5: array<f32>;

fn finish(i: u32, v: f32) {
  let v1: f32 = v;
  b5[i] = v1;
}

@compute @workgroup_size(32, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let outside = gid.x >= 8u || gid.x % 2u * 4u >= 6u;
  if (outside) { return; }
  let block = min(gid.x, 7u);
  let first = block % 2u * 4u;
  let h = block / 2u % 2u;
  let b = block / 4u;
  let qBase = b * 48u + h * 4u;
  let kBase = b * 48u + h / 1u * 4u;
  let stats = (b * 2u + h) * 6u;
    let q0 = qBase + min(first + 0u, 5u) * 8u;
    let q1 = qBase + min(first + 1u, 5u) * 8u;
    let q2 = qBase + min(first + 2u, 5u) * 8u;
    let q3 = qBase + min(first + 3u, 5u) * 8u;
  let logSum0 = b4[2u * (stats + min(first + 0u, 5u))]; let delta0 = b4[2u * (stats + min(first + 0u, 5u)) + 1u];
  let logSum1 = b4[2u * (stats + min(first + 1u, 5u))]; let delta1 = b4[2u * (stats + min(first + 1u, 5u)) + 1u];
  let logSum2 = b4[2u * (stats + min(first + 2u, 5u))]; let delta2 = b4[2u * (stats + min(first + 2u, 5u)) + 1u];
  let logSum3 = b4[2u * (stats + min(first + 3u, 5u))]; let delta3 = b4[2u * (stats + min(first + 3u, 5u)) + 1u];
  var acc: array<vec4f, 4>;
  for (var j = 0u; j < 6u; j += 4u) {
    let k0 = kBase + min(j + 0u, 5u) * 8u;
    let k1 = kBase + min(j + 1u, 5u) * 8u;
    let k2 = kBase + min(j + 2u, 5u) * 8u;
    let k3 = kBase + min(j + 3u, 5u) * 8u;
    var s0_0 = vec4f();
    var s1_0 = vec4f();
    var s2_0 = vec4f();
    var s3_0 = vec4f();
    for (var c = 0u; c < 1u; c++) {
      let x0 = b0[q0 / 4u + c];
      let x1 = b0[q1 / 4u + c];
      let x2 = b0[q2 / 4u + c];
      let x3 = b0[q3 / 4u + c];
      let y0 = b1[k0 / 4u + c];
      let y1 = b1[k1 / 4u + c];
      let y2 = b1[k2 / 4u + c];
      let y3 = b1[k3 / 4u + c];
      let u0_0 = vec4f(y0[0], y1[0], y2[0], y3[0]); s0_0 += x0[0] * u0_0; s1_0 += x1[0] * u0_0; s2_0 += x2[0] * u0_0; s3_0 += x3[0] * u0_0;
      let u0_1 = vec4f(y0[1], y1[1], y2[1], y3[1]); s0_0 += x0[1] * u0_1; s1_0 += x1[1] * u0_1; s2_0 += x2[1] * u0_1; s3_0 += x3[1] * u0_1;
      let u0_2 = vec4f(y0[2], y1[2], y2[2], y3[2]); s0_0 += x0[2] * u0_2; s1_0 += x1[2] * u0_2; s2_0 += x2[2] * u0_2; s3_0 += x3[2] * u0_2;
      let u0_3 = vec4f(y0[3], y1[3], y2[3], y3[3]); s0_0 += x0[3] * u0_3; s1_0 += x1[3] * u0_3; s2_0 += x2[3] * u0_3; s3_0 += x3[3] * u0_3;
    }
    let hide0 = select(vec4f(), vec4f(-1e30), (vec4u(0u, 1u, 2u, 3u) + j + 0u) >= vec4u(6u));
    s0_0 = s0_0 * 0.5f + hide0;
    s1_0 = s1_0 * 0.5f + hide0;
    s2_0 = s2_0 * 0.5f + hide0;
    s3_0 = s3_0 * 0.5f + hide0;
    s0_0 = exp(clamp(s0_0 - logSum0, vec4f(-87.0), vec4f(0.0)));
    s1_0 = exp(clamp(s1_0 - logSum1, vec4f(-87.0), vec4f(0.0)));
    s2_0 = exp(clamp(s2_0 - logSum2, vec4f(-87.0), vec4f(0.0)));
    s3_0 = exp(clamp(s3_0 - logSum3, vec4f(-87.0), vec4f(0.0)));
    var g0_0 = vec4f();
    var g1_0 = vec4f();
    var g2_0 = vec4f();
    var g3_0 = vec4f();
    for (var c = 0u; c < 1u; c++) {
      let x0 = b3[q0 / 4u + c];
      let x1 = b3[q1 / 4u + c];
      let x2 = b3[q2 / 4u + c];
      let x3 = b3[q3 / 4u + c];
      let y0 = b2[k0 / 4u + c];
      let y1 = b2[k1 / 4u + c];
      let y2 = b2[k2 / 4u + c];
      let y3 = b2[k3 / 4u + c];
      let u0_0 = vec4f(y0[0], y1[0], y2[0], y3[0]); g0_0 += x0[0] * u0_0; g1_0 += x1[0] * u0_0; g2_0 += x2[0] * u0_0; g3_0 += x3[0] * u0_0;
      let u0_1 = vec4f(y0[1], y1[1], y2[1], y3[1]); g0_0 += x0[1] * u0_1; g1_0 += x1[1] * u0_1; g2_0 += x2[1] * u0_1; g3_0 += x3[1] * u0_1;
      let u0_2 = vec4f(y0[2], y1[2], y2[2], y3[2]); g0_0 += x0[2] * u0_2; g1_0 += x1[2] * u0_2; g2_0 += x2[2] * u0_2; g3_0 += x3[2] * u0_2;
      let u0_3 = vec4f(y0[3], y1[3], y2[3], y3[3]); g0_0 += x0[3] * u0_3; g1_0 += x1[3] * u0_3; g2_0 += x2[3] * u0_3; g3_0 += x3[3] * u0_3;
    }
    s0_0 *= g0_0 - delta0;
    s1_0 *= g1_0 - delta1;
    s2_0 *= g2_0 - delta2;
    s3_0 *= g3_0 - delta3;
    for (var c = 0u; c < 1u; c++) {
      let y0 = b1[k0 / 4u + c];
      let y1 = b1[k1 / 4u + c];
      let y2 = b1[k2 / 4u + c];
      let y3 = b1[k3 / 4u + c];
      acc[0u + c] = acc[0u + c] + s0_0[0] * y0 + s0_0[1] * y1 + s0_0[2] * y2 + s0_0[3] * y3;
      acc[1u + c] = acc[1u + c] + s1_0[0] * y0 + s1_0[1] * y1 + s1_0[2] * y2 + s1_0[3] * y3;
      acc[2u + c] = acc[2u + c] + s2_0[0] * y0 + s2_0[1] * y1 + s2_0[2] * y2 + s2_0[3] * y3;
      acc[3u + c] = acc[3u + c] + s3_0[0] * y0 + s3_0[1] * y1 + s3_0[2] * y2 + s3_0[3] * y3;
    }
  }

  for (var r = 0u; r < min(4u, 6u - first); r++) {
    for (var d = 0u; d < 4u; d++) {
      finish(qBase + (first + r) * 8u + d, acc[r * 1u + d / 4u][d % 4u] * 0.5f);
    }
  }
}

// attentionKeyGrad.key, grid 1 × 1 × 1
@group(0) @binding(0) var<storage, read> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<vec4f>;
@group(0) @binding(2) var<storage, read> b2: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> b3: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;
@group(0) @binding(5) var<storage, read_write> b5: array<f32>;
@group(0) @binding(6) var<storage, read_write> b6: array<f32>;


@compute @workgroup_size(32, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let outside = gid.x >= 8u || gid.x % 2u * 4u >= 6u;
  if (outside) { return; }
  let block = min(gid.x, 7u);
  let first = block % 2u * 4u;
  let kvHead = block / 2u % 2u;
  let b = block / 4u;
  let kBase = b * 48u + kvHead * 4u;
    let k0 = kBase + min(first + 0u, 5u) * 8u;
    let k1 = kBase + min(first + 1u, 5u) * 8u;
    let k2 = kBase + min(first + 2u, 5u) * 8u;
    let k3 = kBase + min(first + 3u, 5u) * 8u;
  var accK: array<vec4f, 4>;
  var accV: array<vec4f, 4>;
  for (var member = 0u; member < 1u; member++) {
  let h = kvHead * 1u + member;
  let qBase = b * 48u + h * 4u;
  let stats = (b * 2u + h) * 6u;
  for (var j = 0u; j < 6u; j += 4u) {
    let q0 = qBase + min(j + 0u, 5u) * 8u;
    let q1 = qBase + min(j + 1u, 5u) * 8u;
    let q2 = qBase + min(j + 2u, 5u) * 8u;
    let q3 = qBase + min(j + 3u, 5u) * 8u;
    var s0_0 = vec4f();
    var s1_0 = vec4f();
    var s2_0 = vec4f();
    var s3_0 = vec4f();
    for (var c = 0u; c < 1u; c++) {
      let x0 = b1[k0 / 4u + c];
      let x1 = b1[k1 / 4u + c];
      let x2 = b1[k2 / 4u + c];
      let x3 = b1[k3 / 4u + c];
      let y0 = b0[q0 / 4u + c];
      let y1 = b0[q1 / 4u + c];
      let y2 = b0[q2 / 4u + c];
      let y3 = b0[q3 / 4u + c];
      let u0_0 = vec4f(y0[0], y1[0], y2[0], y3[0]); s0_0 += x0[0] * u0_0; s1_0 += x1[0] * u0_0; s2_0 += x2[0] * u0_0; s3_0 += x3[0] * u0_0;
      let u0_1 = vec4f(y0[1], y1[1], y2[1], y3[1]); s0_0 += x0[1] * u0_1; s1_0 += x1[1] * u0_1; s2_0 += x2[1] * u0_1; s3_0 += x3[1] * u0_1;
      let u0_2 = vec4f(y0[2], y1[2], y2[2], y3[2]); s0_0 += x0[2] * u0_2; s1_0 += x1[2] * u0_2; s2_0 += x2[2] * u0_2; s3_0 += x3[2] * u0_2;
      let u0_3 = vec4f(y0[3], y1[3], y2[3], y3[3]); s0_0 += x0[3] * u0_3; s1_0 += x1[3] * u0_3; s2_0 += x2[3] * u0_3; s3_0 += x3[3] * u0_3;
    }
    let hide0 = select(vec4f(), vec4f(-1e30), (vec4u(0u, 1u, 2u, 3u) + j + 0u) >= vec4u(6u));
    s0_0 = s0_0 * 0.5f + hide0;
    s1_0 = s1_0 * 0.5f + hide0;
    s2_0 = s2_0 * 0.5f + hide0;
    s3_0 = s3_0 * 0.5f + hide0;
    let logSum0 = vec4f(b4[2u * (stats + min(j + 0u, 5u)) + 0u], b4[2u * (stats + min(j + 1u, 5u)) + 0u], b4[2u * (stats + min(j + 2u, 5u)) + 0u], b4[2u * (stats + min(j + 3u, 5u)) + 0u]);
    s0_0 = exp(clamp(s0_0 - logSum0, vec4f(-87.0), vec4f(0.0)));
    s1_0 = exp(clamp(s1_0 - logSum0, vec4f(-87.0), vec4f(0.0)));
    s2_0 = exp(clamp(s2_0 - logSum0, vec4f(-87.0), vec4f(0.0)));
    s3_0 = exp(clamp(s3_0 - logSum0, vec4f(-87.0), vec4f(0.0)));
    for (var c = 0u; c < 1u; c++) {
      let y0 = b3[q0 / 4u + c];
      let y1 = b3[q1 / 4u + c];
      let y2 = b3[q2 / 4u + c];
      let y3 = b3[q3 / 4u + c];
      accV[0u + c] = accV[0u + c] + s0_0[0] * y0 + s0_0[1] * y1 + s0_0[2] * y2 + s0_0[3] * y3;
      accV[1u + c] = accV[1u + c] + s1_0[0] * y0 + s1_0[1] * y1 + s1_0[2] * y2 + s1_0[3] * y3;
      accV[2u + c] = accV[2u + c] + s2_0[0] * y0 + s2_0[1] * y1 + s2_0[2] * y2 + s2_0[3] * y3;
      accV[3u + c] = accV[3u + c] + s3_0[0] * y0 + s3_0[1] * y1 + s3_0[2] * y2 + s3_0[3] * y3;
    }
    var g0_0 = vec4f();
    var g1_0 = vec4f();
    var g2_0 = vec4f();
    var g3_0 = vec4f();
    for (var c = 0u; c < 1u; c++) {
      let x0 = b2[k0 / 4u + c];
      let x1 = b2[k1 / 4u + c];
      let x2 = b2[k2 / 4u + c];
      let x3 = b2[k3 / 4u + c];
      let y0 = b3[q0 / 4u + c];
      let y1 = b3[q1 / 4u + c];
      let y2 = b3[q2 / 4u + c];
      let y3 = b3[q3 / 4u + c];
      let u0_0 = vec4f(y0[0], y1[0], y2[0], y3[0]); g0_0 += x0[0] * u0_0; g1_0 += x1[0] * u0_0; g2_0 += x2[0] * u0_0; g3_0 += x3[0] * u0_0;
      let u0_1 = vec4f(y0[1], y1[1], y2[1], y3[1]); g0_0 += x0[1] * u0_1; g1_0 += x1[1] * u0_1; g2_0 += x2[1] * u0_1; g3_0 += x3[1] * u0_1;
      let u0_2 = vec4f(y0[2], y1[2], y2[2], y3[2]); g0_0 += x0[2] * u0_2; g1_0 += x1[2] * u0_2; g2_0 += x2[2] * u0_2; g3_0 += x3[2] * u0_2;
      let u0_3 = vec4f(y0[3], y1[3], y2[3], y3[3]); g0_0 += x0[3] * u0_3; g1_0 += x1[3] * u0_3; g2_0 += x2[3] * u0_3; g3_0 += x3[3] * u0_3;
    }
    let delta0 = vec4f(b4[2u * (stats + min(j + 0u, 5u)) + 1u], b4[2u * (stats + min(j + 1u, 5u)) + 1u], b4[2u * (stats + min(j + 2u, 5u)) + 1u], b4[2u * (stats + min(j + 3u, 5u)) + 1u]);
    s0_0 *= g0_0 - delta0;
    s1_0 *= g1_0 - delta0;
    s2_0 *= g2_0 - delta0;
    s3_0 *= g3_0 - delta0;
    for (var c = 0u; c < 1u; c++) {
      let y0 = b0[q0 / 4u + c];
      let y1 = b0[q1 / 4u + c];
      let y2 = b0[q2 / 4u + c];
      let y3 = b0[q3 / 4u + c];
      accK[0u + c] = accK[0u + c] + s0_0[0] * y0 + s0_0[1] * y1 + s0_0[2] * y2 + s0_0[3] * y3;
      accK[1u + c] = accK[1u + c] + s1_0[0] * y0 + s1_0[1] * y1 + s1_0[2] * y2 + s1_0[3] * y3;
      accK[2u + c] = accK[2u + c] + s2_0[0] * y0 + s2_0[1] * y1 + s2_0[2] * y2 + s2_0[3] * y3;
      accK[3u + c] = accK[3u + c] + s3_0[0] * y0 + s3_0[1] * y1 + s3_0[2] * y2 + s3_0[3] * y3;
    }
  }
  }

  for (var r = 0u; r < min(4u, 6u - first); r++) {
    for (var d = 0u; d < 4u; d++) {
      b5[kBase + (first + r) * 8u + d] = accK[r * 1u + d / 4u][d % 4u] * 0.5f;
    }
  }
  for (var r = 0u; r < min(4u, 6u - first); r++) {
    for (var d = 0u; d < 4u; d++) {
      b6[kBase + (first + r) * 8u + d] = accV[r * 1u + d / 4u][d % 4u] * 1.0;
    }
  }
}

// copy, grid 2 × 1 × 1
@group(0) @binding(0) var<storage, read_write> b0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;

fn finish(i: u32, v: f32) {
  let v0: f32 = b0[i];
  b1[i] = v0;
}

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wid.y * groups.x + wid.x) * 64u + lane;
  if (i >= 96u) { return; }
  finish(i, 0.0);
}

// copy, grid 2 × 1 × 1
@group(0) @binding(0) var<storage, read_write> b0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;

fn finish(i: u32, v: f32) {
  let v0: f32 = b0[i];
  b1[i] = v0;
}

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wid.y * groups.x + wid.x) * 64u + lane;
  if (i >= 96u) { return; }
  finish(i, 0.0);
}
