// What makes pictures of pages differ from one second to the next: a clock, chance, and drawings that move.
const pick = (list) => list[Math.floor(Math.random() * list.length)];

function tick() {
  const now = new Date();
  for (const clock of document.querySelectorAll("[data-clock]")) clock.textContent = now.toLocaleTimeString("en-GB");
}
tick();
setInterval(tick, 1000);

const greeting = document.querySelector(".greeting");
greeting.textContent = pick([
  "The kettle is on. Free delivery from €35.",
  "Fresh off the ferry: First Flush 2026 is here.",
  "Good things take four minutes.",
  "Rain on the hill again. The leaves love it.",
]);

// Tea leaves in a cup, never twice the same, slowly turning.
const cup = document.querySelector("canvas.leaves");
if (cup) {
  const draw = cup.getContext("2d");
  const leaves = Array.from({ length: 150 }, () => ({
    far: Math.pow(Math.random(), 0.6) * 300, angle: Math.random() * Math.PI * 2,
    size: 8 + Math.random() * 20, turn: Math.random() * Math.PI, shade: Math.random(),
  }));
  const frame = (time) => {
    draw.setTransform(1, 0, 0, 1, 420, 420);
    const tea = draw.createRadialGradient(-60, -80, 40, 0, 0, 400);
    tea.addColorStop(0, "#e9b868"); tea.addColorStop(0.7, "#bd7a34"); tea.addColorStop(1, "#8a5220");
    draw.fillStyle = "#f6efe2"; draw.beginPath(); draw.arc(0, 0, 420, 0, 7); draw.fill();
    draw.fillStyle = "#ded3bf"; draw.beginPath(); draw.arc(0, 0, 384, 0, 7); draw.fill();
    draw.fillStyle = tea; draw.beginPath(); draw.arc(0, 0, 366, 0, 7); draw.fill();
    for (const leaf of leaves) {
      const angle = leaf.angle + time / 9000 * (1.2 - leaf.far / 400);
      draw.save();
      draw.translate(Math.cos(angle) * leaf.far, Math.sin(angle) * leaf.far);
      draw.rotate(leaf.turn + angle);
      draw.fillStyle = `rgb(${40 + leaf.shade * 34} ${46 + leaf.shade * 26} ${24 + leaf.shade * 10} / .88)`;
      draw.beginPath(); draw.ellipse(0, 0, leaf.size, leaf.size * 0.3, 0, 0, 7); draw.fill();
      draw.restore();
    }
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  const omen = document.querySelector(".omen");
  omen.textContent = pick([
    "A ferry, a letter, and an unexpected biscuit.",
    "You will find the good scissors where you left them.",
    "Someone you like is putting the kettle on.",
    "A long walk, and dry socks at the end of it.",
  ]);
}

// Rain on the hill, day by day.
const rain = document.querySelector("canvas.rain");
if (rain) {
  const days = [4, 9, 14, 8, 2, 0, 3, 11, 17, 21, 16, 9, 5, 7, 12, 10, 6, 3, 1, 0, 5, 13, 19, 15, 8, 4, 6, 9, 7, 2];
  const draw = rain.getContext("2d");
  const { width, height } = rain, step = width / days.length;
  days.forEach((millimetres, day) => {
    const tall = millimetres / 22 * (height - 20) + 3;
    const blue = draw.createLinearGradient(0, height - tall, 0, height);
    blue.addColorStop(0, "#2f6d86"); blue.addColorStop(1, "#a9c9d1");
    draw.fillStyle = blue;
    draw.beginPath(); draw.roundRect(day * step + 4, height - tall, step - 8, tall, [7, 7, 0, 0]); draw.fill();
  });
}

// The catalogue's filters.
for (const button of document.querySelectorAll(".filters button")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll(".filters button")) other.setAttribute("aria-pressed", other === button);
    const kind = button.dataset.kind;
    for (const tea of document.querySelectorAll(".tea")) tea.hidden = kind !== "all" && tea.dataset.kind !== kind;
  });
}

// The basket.
const add = document.querySelector("#add");
if (add) {
  add.addEventListener("click", () => {
    const count = document.querySelector(".basket b");
    count.textContent = Number(count.textContent) + 1;
    document.querySelector(".toast")?.remove();
    const toast = Object.assign(document.createElement("div"), { className: "toast", textContent: "First Flush is in your basket" });
    toast.setAttribute("role", "status");
    document.body.append(toast);
  });
}

// The form tells what is missing, beside the field.
const form = document.querySelector("form.card");
if (form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const field of form.querySelectorAll("[required]")) {
      field.setAttribute("aria-invalid", !field.validity.valid);
      field.parentElement.querySelector(".error").textContent =
        field.validity.valid ? "" : field.value ? "This does not look right yet." : "We need this to answer you.";
    }
  });
}
