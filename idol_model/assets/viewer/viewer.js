(function (figure) {
  "use strict";
  const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  const canvas = figure.querySelector("canvas");
  const control = (name) => figure.querySelector(`[data-do="$${name}"]`);
  const gl = canvas.getContext("webgl2", { antialias: true });
  if (!gl) {
    figure.querySelector("figcaption").textContent += " This browser shows no relief (WebGL 2 is missing).";
    return;
  }
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const state = { yaw: 0.15, pitch: 0.05, frame: 0, playing: !calm, since: 0, visible: true };
  control("sway").checked = !calm;

  // Layer 0 is the still backdrop (one cell), layer 1 the frames (columns x rows cells). Depth 0 is near.
  const vertexShader = `#version 300 es
    precision highp float;
    uniform sampler2D depthSheet;
    uniform vec2 cells, cell, size;
    uniform float relief, behind, aspect;
    uniform mat3 turn;
    in vec2 at;
    out vec2 where;
    vec2 inside(vec2 p) { return (cell + clamp(p, 0.5 / size, 1.0 - 0.5 / size)) / cells; }
    void main() {
      where = at;
      float depth = textureLod(depthSheet, inside(at), 0.0).r;
      vec3 p = turn * vec3((at.x - 0.5) * aspect, 0.5 - at.y, relief * (0.7 - depth) - behind);
      float distance = 2.6 - p.z;
      gl_Position = vec4(p.xy * 5.0, distance * (distance - 3.0) / 2.0, distance);
    }`;
  const fragmentShader = `#version 300 es
    precision highp float;
    uniform sampler2D depthSheet, colourSheet;
    uniform vec2 cells, cell, size;
    uniform float showDepth, cut;
    in vec2 where;
    out vec4 colour;
    vec2 inside(vec2 p) { return (cell + clamp(p, 0.5 / size, 1.0 - 0.5 / size)) / cells; }
    float depthAt(vec2 p) { return textureLod(depthSheet, inside(p), 0.0).r; }
    void main() {
      // A jump of depth is an outline: what lies across it is torn away, not stretched like rubber.
      float low = 1.0, high = 0.0;
      for (int i = 0; i < 9; i++) {
        float d = depthAt(where + vec2(i % 3 - 1, i / 3 - 1) * 0.75 / size);
        low = min(low, d); high = max(high, d);
      }
      if (high - low > cut) discard;
      colour = vec4(mix(textureLod(colourSheet, inside(where), 0.0).rgb, vec3(1.0 - high), showDepth), 1.0);
    }`;

  function compiled(kind, source) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    return shader;
  }
  const program = gl.createProgram();
  gl.attachShader(program, compiled(gl.VERTEX_SHADER, vertexShader));
  gl.attachShader(program, compiled(gl.FRAGMENT_SHADER, fragmentShader));
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  gl.useProgram(program);
  const uniform = new Proxy({}, { get: (_, name) => gl.getUniformLocation(program, name) });

  // One grid of a vertex a pixel serves both layers.
  const wide = Math.min(data.width, 256), high = Math.min(data.height, 256);
  const points = new Float32Array(wide * high * 2), corners = new Uint32Array((wide - 1) * (high - 1) * 6);
  for (let y = 0, n = 0; y < high; y++)
    for (let x = 0; x < wide; x++) { points[n++] = x / (wide - 1); points[n++] = y / (high - 1); }
  for (let y = 0, n = 0; y < high - 1; y++)
    for (let x = 0; x < wide - 1; x++) {
      const a = y * wide + x;
      corners.set([a, a + 1, a + wide, a + 1, a + wide + 1, a + wide], n);
      n += 6;
    }
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, points, gl.STATIC_DRAW);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, corners, gl.STATIC_DRAW);
  const at = gl.getAttribLocation(program, "at");
  gl.enableVertexAttribArray(at);
  gl.vertexAttribPointer(at, 2, gl.FLOAT, false, 0, 0);

  function texture(picture, filter) {
    const made = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, made);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, picture);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, filter);
    for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
    return made;
  }
  const loaded = (source) => new Promise((done, failed) => {
    const picture = new Image();
    picture.onload = () => done(picture);
    picture.onerror = () => failed(new Error("a picture of this view is damaged"));
    picture.src = source;
  });

  function layer(sheets, cells, cell, cut, behind) {
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, sheets.depth);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, sheets.colour);
    gl.uniform2f(uniform.cells, ...cells);
    gl.uniform2f(uniform.cell, ...cell);
    gl.uniform1f(uniform.cut, cut);
    gl.uniform1f(uniform.behind, behind);
    gl.drawElements(gl.TRIANGLES, corners.length, gl.UNSIGNED_INT, 0);
  }

  function draw(sheets) {
    const sway = control("sway").checked ? 0.35 * Math.sin(performance.now() / 1600) : 0;
    const [cy, sy] = [Math.cos(state.yaw + sway), Math.sin(state.yaw + sway)];
    const [cp, sp] = [Math.cos(state.pitch), Math.sin(state.pitch)];
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0.09, 0.094, 0.11, 1);
    gl.enable(gl.DEPTH_TEST);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniformMatrix3fv(uniform.turn, false, [cy, sp * sy, -cp * sy, 0, cp, sp, sy, -sp * cy, cp * cy]);
    gl.uniform1i(uniform.depthSheet, 0);
    gl.uniform1i(uniform.colourSheet, 1);
    gl.uniform2f(uniform.size, data.width, data.height);
    gl.uniform1f(uniform.aspect, data.width / data.height);
    gl.uniform1f(uniform.relief, Number(control("relief").value));
    gl.uniform1f(uniform.showDepth, control("depth").checked ? 1 : 0);
    const cell = [state.frame % data.columns, Math.floor(state.frame / data.columns)];
    layer(sheets.backdrop, [1, 1], [0, 0], 2, 0.01);
    layer(sheets.frames, [data.columns, data.rows], cell, data.cut, 0);
  }

  function step(now, sheets) {
    if (state.visible) {
      if (state.playing && now - state.since >= 1000 / data.fps) {
        state.frame = (state.frame + 1) % data.frames;
        state.since = now;
        control("frame").value = state.frame;
      }
      draw(sheets);
    }
    requestAnimationFrame((later) => step(later, sheets));
  }

  const clamp = (value, most) => Math.max(-most, Math.min(most, value));
  const turned = (dx, dy) => {
    state.yaw = clamp(state.yaw + dx, 1.2);
    state.pitch = clamp(state.pitch + dy, 0.8);
  };
  const play = (on) => {
    state.playing = on;
    control("play").textContent = on ? "Pause" : "Play";
    control("play").setAttribute("aria-pressed", String(on));
  };
  play(state.playing);
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) turned(event.movementX * 0.008, event.movementY * 0.008);
  });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-0.08, 0], ArrowRight: [0.08, 0], ArrowUp: [0, -0.08], ArrowDown: [0, 0.08] };
    if (moves[event.key]) { turned(...moves[event.key]); event.preventDefault(); }
    if (event.key === " ") { play(!state.playing); event.preventDefault(); }
  });
  control("play").addEventListener("click", () => play(!state.playing));
  control("frame").addEventListener("input", (event) => { play(false); state.frame = Number(event.target.value); });
  control("front").addEventListener("click", () => { state.yaw = state.pitch = 0; control("sway").checked = false; });
  new IntersectionObserver((entries) => { state.visible = entries[entries.length - 1].isIntersecting; }).observe(canvas);

  Promise.all([data.colour, data.depth, data.backColour, data.backDepth].map(loaded)).then((pictures) => {
    const [colour, depth, backColour, backDepth] = pictures.map((p, i) => texture(p, i % 2 ? gl.NEAREST : gl.LINEAR));
    const sheets = { frames: { colour, depth }, backdrop: { colour: backColour, depth: backDepth } };
    requestAnimationFrame((now) => step(now, sheets));
  });
})(document.currentScript.closest("figure"));
