// layerNorm.rows, grid 1 × 1 × 1
@group(0) @binding(0) var<storage, read> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<vec4f>;
@group(0) @binding(2) var<storage, read> b2: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> b3: array<f32>;

fn finish(i: u32, v: f32) {
  b3[i] = v;
}

@compute @workgroup_size(32, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wid.y * groups.x + wid.x) * 32u + lane;
  if (i >= 6u) { return; }
  let row = i;
  var sum = vec4f();
  for (var c = 0u; c < 3u; c++) {
    sum += b0[row * 3u + c];
  }
  let mean = dot(sum, vec4f(1.0)) / 12.0;
  sum = vec4f();
  for (var c = 0u; c < 3u; c++) {
    let d = b0[row * 3u + c] - mean;
    sum += d * d;
  }
  let rstd = inverseSqrt(dot(sum, vec4f(1.0)) / 12.0 + 1e-5f);
  
  
  for (var c = 0u; c < 3u; c++) {
    { let f4 = (b0[row * 3u + c] - mean) * rstd * b1[c] + b2[c]; for (var j = 0u; j < 4u; j++) { finish(row * 12u + 4u * c + j, f4[j]); } }
  }
}
