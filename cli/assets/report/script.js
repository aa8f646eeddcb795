(function () {
  "use strict";
  // All moving pictures follow one clock, so a video and its depth never drift apart.
  const pictures = [...document.querySelectorAll(".picture[data-frames]")].map((element) => ({
    element, frames: +element.dataset.frames, columns: +element.dataset.columns, rows: +element.dataset.rows,
  }));
  if (!pictures.length) return;
  const player = document.querySelector(".player");
  const control = (name) => player.querySelector(`[data-do="${name}"]`);
  const longest = Math.max(...pictures.map((picture) => picture.frames));
  const fps = Math.max(1, +pictures[0].element.dataset.fps);
  let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches, clock = 0, before = null, shown = -1;

  function show(frame) {
    if (frame === shown) return;
    shown = frame;
    control("frame").value = frame;
    for (const { element, frames, columns, rows } of pictures) {
      const own = frame % frames, x = own % columns, y = Math.floor(own / columns);
      const part = (index, count) => (count > 1 ? (100 * index) / (count - 1) : 0);
      element.style.backgroundPosition = `${part(x, columns)}% ${part(y, rows)}%`;
    }
  }
  function tick(now) {
    if (playing && before !== null) clock = (clock + ((now - before) / 1000) * fps * control("speed").value) % longest;
    before = now;
    show(Math.floor(clock));
    requestAnimationFrame(tick);
  }
  function setPlaying(on) {
    playing = on;
    control("play").textContent = on ? "Pause" : "Play";
  }
  control("frame").max = longest - 1;
  control("frame").addEventListener("input", (event) => { setPlaying(false); clock = +event.target.value; });
  control("play").addEventListener("click", () => setPlaying(!playing));
  player.hidden = false;
  setPlaying(playing);
  requestAnimationFrame(tick);
})();
