// crossEntropy.rows, grid 1 × 1 × 1
@group(0) @binding(0) var<storage, read> b0: array<f32>;
@group(0) @binding(1) var<storage, read> b1: array<u32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;

fn finish(i: u32, v: f32) {
  b2[i] = v;
}

@compute @workgroup_size(32, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wid.y * groups.x + wid.x) * 32u + lane;
  if (i >= 4u) { return; }
  let row = i;
  let base = row * 3u;
  var top = -3.4e38;
  for (var c = 0u; c < 3u; c++) { top = max(top, b0[base + c]); }
  var sum = 0.0;
  var total = 0.0;
  for (var c = 0u; c < 3u; c++) {
    let v = b0[base + c];
    sum += exp(max(v - top, -87.0));
    total += v;
  }
  let lse = top + log(sum);
  
  let label = u32(b1[row]);
  var loss = 0.0;
  if (label < 3u) {
    loss = lse - 1.0f * b0[base + label] - 0.0f * total;
  }
  finish(row, loss);
}
