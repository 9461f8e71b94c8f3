// softmax.rows, grid 4 × 1 × 1
@group(0) @binding(0) var<storage, read> b0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;
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
fn group_top(v: f32, lane: u32) -> f32 {
  parts[lane] = v;
  workgroupBarrier();
  for (var s = 32u; s > 0u; s >>= 1u) {
    if (lane < s) { parts[lane] = max(parts[lane], parts[lane + s]); }
    workgroupBarrier();
  }
  let top = parts[0];
  workgroupBarrier();
  return top;
}

fn finish(i: u32, v: f32) {
  b1[i] = v;
}

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = wid.y * groups.x + wid.x;
  if (row >= 4u) { return; }
  var high = f32(-3.4e38);
  for (var c = lane; c < 99u; c += 64u) {
    high = max(high, b0[row * 99u + c]);
  }
  let top = group_top(high, lane);
  var sum = f32();
  for (var c = lane; c < 99u; c += 64u) {
    sum += exp(max(b0[row * 99u + c] - top, f32(-87.0)));
  }
  let scale = 1.0 / (group_sum(sum, lane));
  for (var c = lane; c < 99u; c += 64u) {
    finish(row * 99u + c, exp(max(b0[row * 99u + c] - top, f32(-87.0))) * scale);
  }
}
