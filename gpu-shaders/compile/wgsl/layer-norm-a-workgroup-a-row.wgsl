// layerNorm.rows, grid 6 × 1 × 1
@group(0) @binding(0) var<storage, read> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<vec4f>;
@group(0) @binding(2) var<storage, read> b2: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> b3: array<f32>;
var<workgroup> parts: array<f32, 64>;
fn group_sum(v: f32, lane: u32) -> f32 {
  parts[lane] = v;
  workgroupBarrier();
  for (var s = 32u; s > 0u; s >>= 1u) {
    if (lane < s) { parts[lane] += parts[lane + s]; }
    workgroupBarrier();
  }
  let all = parts[0];
  workgroupBarrier();
  return all;
}

fn finish(i: u32, v: f32) {
  b3[i] = v;
}

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = wid.y * groups.x + wid.x;
  if (row >= 6u) { return; }
  var sum = vec4f();
  for (var c = lane; c < 64u; c += 64u) {
    sum += b0[row * 64u + c];
  }
  let mean = group_sum(dot(sum, vec4f(1.0)), lane) / 256.0;
  sum = vec4f();
  for (var c = lane; c < 64u; c += 64u) {
    let d = b0[row * 64u + c] - mean;
    sum += d * d;
  }
  let rstd = inverseSqrt(group_sum(dot(sum, vec4f(1.0)), lane) / 256.0 + 1e-5f);
  
  
  for (var c = lane; c < 64u; c += 64u) {
    { let f4 = (b0[row * 64u + c] - mean) * rstd * b1[c] + b2[c]; for (var j = 0u; j < 4u; j++) { finish(row * 256u + 4u * c + j, f4[j]); } }
  }
}
