// depthwiseConv.run, grid 1 × 1 × 1
@group(0) @binding(0) var<storage, read> b0: array<vec4f>;
@group(0) @binding(1) var<storage, read> b1: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;

fn finish(i: u32, v: f32) {
  b2[i] = v;
}

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_id) lid: vec3u,
  @builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wid.y * groups.x + wid.x) * 64u + lane;
  if (i >= 12u) { return; }
  let c = i % 2u;
  let ox = i / 2u % 1u * 6u;
  let oy = i / 2u % 6u;
  let b = i / 12u;
  let left = ox * 1u - 1u;
  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f(); var s4 = vec4f(); var s5 = vec4f();
  for (var ky = 0u; ky < 3u; ky++) {
    // Above the input the difference wraps to a large u32, so one comparison checks both ends; so it does to its left.
    let y = oy * 1u + ky * 1u - 1u;
    if (y >= 6u) { continue; }
    let row = (b * 6u + y) * 6u;
    let x1 = b0[(row + 0u) * 2u + c];
    let x2 = b0[(row + 1u) * 2u + c];
    let x3 = b0[(row + 2u) * 2u + c];
    let x4 = b0[(row + 3u) * 2u + c];
    let x5 = b0[(row + 4u) * 2u + c];
    let x6 = b0[(row + 5u) * 2u + c];
    let w0 = b1[(ky * 3u + 0u) * 2u + c]; s1 += w0 * x1; s2 += w0 * x2; s3 += w0 * x3; s4 += w0 * x4; s5 += w0 * x5;
    let w1 = b1[(ky * 3u + 1u) * 2u + c]; s0 += w1 * x1; s1 += w1 * x2; s2 += w1 * x3; s3 += w1 * x4; s4 += w1 * x5; s5 += w1 * x6;
    let w2 = b1[(ky * 3u + 2u) * 2u + c]; s0 += w2 * x2; s1 += w2 * x3; s2 += w2 * x4; s3 += w2 * x5; s4 += w2 * x6;
  }
  var sums = array<vec4f, 6>(s0, s1, s2, s3, s4, s5);
  for (var t = 0u; t < min(6u, 6u - ox); t++) {
    let v = sums[t];
    let place = ((b * 6u + oy) * 6u + ox + t) * 2u + c;
    finish(4u * (place) + 0u, v[0]); finish(4u * (place) + 1u, v[1]); finish(4u * (place) + 2u, v[2]); finish(4u * (place) + 3u, v[3]);
  }
}
