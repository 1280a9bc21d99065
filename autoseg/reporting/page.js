// The cases of a report: look at them, switch layers and labels; marks are in marks.js.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("gallery-data").textContent);
  const $ = (id) => document.getElementById(id);
  const LAYERS = [
    { name: "reference", title: "reference", opacity: 0.5, shown: false },
    { name: "segmentation", title: "segmentation", opacity: 0.5, shown: true },
    { name: "errors", title: "errors", opacity: 0.8, shown: true },
  ];
  const VIEWS = [["all", "multi"], ["axial", "axial"], ["coronal", "coronal"], ["sagittal", "sagittal"], ["3D", "render"]];
  const hidden = new Set(); // values of labels that are switched off
  let current = 0;
  const marks = reviewMarks(data, () => current);
  let view = "multi";
  let nv = null;
  let loading = 0;

  // --- the viewer

  function table(entries, alpha = 255) {
    const map = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: ["-"] };
    for (const { value, name, colour } of entries) {
      map.R.push(parseInt(colour.slice(1, 3), 16));
      map.G.push(parseInt(colour.slice(3, 5), 16));
      map.B.push(parseInt(colour.slice(5, 7), 16));
      map.A.push(hidden.has(value) && entries === data.labels ? 0 : alpha);
      map.I.push(value);
      map.labels.push(name);
    }
    return map;
  }

  const colours = (name) => table(name === "errors" ? data.errors : data.labels);
  const layersOf = (one) => LAYERS.filter((layer) => one.volumes[layer.name]);

  async function start() {
    const canvas = $("canvas");
    try {
      nv = new niivue.Niivue({
        logLevel: "error",
        backColor: [0, 0, 0, 1],
        show3Dcrosshair: true,
        crosshairColor: [1, 0.85, 0.2, 0.9],
        crosshairWidth: 0.25,
        isColorbar: false,
        loadingText: "",
        dragAndDropEnabled: false,
        clipPlaneHotKey: "",
        cycleClipPlaneHotKey: "",
        viewModeHotKey: "",
        multiplanarShowRender: 1,
        multiplanarLayout: 2,
        isNearestInterpolation: true,
        scrollRequiresFocus: true,
      });
      nv.onLocationChange = showLocation;
      await nv.attachToCanvas(canvas);
      if (!nv.gl) throw new Error("no WebGL 2");
    } catch (error) {
      nv = null;
      $("fallback").hidden = false;
    }
  }

  async function show(index) {
    current = (index + data.cases.length) % data.cases.length;
    const one = data.cases[current];
    document.querySelectorAll("[data-case]").forEach((button) => {
      const mine = Number(button.dataset.case) === current;
      button.setAttribute("aria-current", String(mine));
      if (mine) button.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
    $("case-name").textContent = one.case;
    $("case-note").textContent = one.note;
    $("channel").replaceChildren(...one.channels.map((name) => new Option(name, name)));
    $("channel-group").hidden = one.channels.length < 2;
    controls(one);
    marks.show();
    await draw();
  }

  async function draw() {
    const one = data.cases[current];
    if (!nv) {
      showPicture(one);
      return;
    }
    const mine = ++loading;
    const names = [$("channel").value, ...layersOf(one).map((layer) => layer.name)];
    const volumes = await Promise.all(
      names.map((name, place) =>
        niivue.NVImage.loadFromBase64({ base64: one.volumes[name], name: `${name}.nii.gz`, colormap: "gray", opacity: 1, ...(place ? {} : { cal_min: 0, cal_max: 255 }) }),
      ),
    );
    if (mine !== loading) return; // another case was asked for meanwhile
    volumes.slice(1).forEach((volume, place) => volume.setColormapLabel(colours(names[place + 1])));
    while (nv.volumes.length) nv.removeVolumeByIndex(nv.volumes.length - 1);
    volumes.forEach((volume) => nv.addVolume(volume));
    applyView();
    applyLayers();
    toFirstMarked(one, volumes);
    document.documentElement.dataset.shown = one.case;
  }

  // Without WebGL 2 there is the picture of the list, larger.
  function showPicture(one) {
    const picture = document.querySelector(`[data-case="${current}"] img`).src;
    $("fallback").replaceChildren("This browser does not draw in 3D (WebGL 2 is off or missing). ", element("img", { src: picture, alt: one.case }));
    document.documentElement.dataset.shown = one.case;
  }

  // The cross goes to the middle voxel of what is marked: the errors, else the labels.
  function toFirstMarked(one, volumes) {
    const layers = layersOf(one);
    for (const name of ["errors", "segmentation", "reference"]) {
      const place = layers.findIndex((layer) => layer.name === name);
      if (place < 0) continue;
      const volume = volumes[place + 1];
      const [, nx, ny] = volume.hdr.dims;
      const marked = [];
      volume.img.forEach((value, at) => {
        if (value) marked.push(at);
      });
      if (!marked.length) continue;
      const at = marked[marked.length >> 1];
      // The volumes of a page are stored in canonical axes: their voxels are those of the viewer.
      nv.scene.crosshairPos = nv.vox2frac([at % nx, Math.floor(at / nx) % ny, Math.floor(at / (nx * ny))]);
      nv.drawScene();
      nv.createOnLocationChange();
      return;
    }
  }

  function applyLayers() {
    if (!nv) return;
    layersOf(data.cases[current]).forEach((layer, place) => nv.setOpacity(place + 1, layer.shown ? layer.opacity : 0));
  }

  function applyLabels() {
    if (!nv) return;
    layersOf(data.cases[current]).forEach((layer, place) => nv.volumes[place + 1].setColormapLabel(colours(layer.name)));
    nv.updateGLVolume();
  }

  function applyView() {
    const types = { multi: nv.sliceTypeMultiplanar, axial: nv.sliceTypeAxial, coronal: nv.sliceTypeCoronal, sagittal: nv.sliceTypeSagittal, render: nv.sliceTypeRender };
    nv.setSliceType(types[view]);
  }

  function showLocation(location) {
    const one = data.cases[current];
    const parts = [`${Array.from(location.mm).slice(0, 3).map((value) => value.toFixed(1)).join(", ")} mm`];
    layersOf(one).forEach((layer, place) => {
      const volume = nv.volumes[place + 1];
      const value = volume ? Math.round(volume.getValue(...location.vox)) : 0;
      const entries = layer.name === "errors" ? data.errors : data.labels;
      const found = entries.find((entry) => entry.value === value);
      parts.push(`${layer.title}: ${value ? (found ? found.name : value) : "-"}`);
    });
    $("location").textContent = parts.join("   ");
  }

  // --- controls

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function controls(one) {
    $("layers").replaceChildren(
      ...layersOf(one).map((layer, place) => {
        const box = element("input", { type: "checkbox", checked: layer.shown });
        box.dataset.layer = layer.name;
        box.onchange = () => {
          layer.shown = box.checked;
          applyLayers();
        };
        const slider = element("input", { type: "range", min: 0, max: 100, value: layer.opacity * 100, ariaLabel: `opacity of the ${layer.title}` });
        slider.oninput = () => {
          layer.opacity = slider.value / 100;
          applyLayers();
        };
        const swatches = layer.name === "errors" ? data.errors.flatMap((entry) => [" ", swatch(entry.colour), ` ${entry.name}`]) : [];
        return element("span", { className: "group" }, element("label", {}, box, ` ${place + 1} ${layer.title}`), slider, ...swatches);
      }),
    );
  }

  function swatch(colour) {
    const made = element("span", { className: "swatch" });
    made.style.background = colour;
    return made;
  }

  function labelControls() {
    $("labels").replaceChildren(
      ...data.labels.map((entry) => {
        const box = element("input", { type: "checkbox", checked: true });
        box.dataset.label = entry.name;
        box.onchange = () => {
          box.checked ? hidden.delete(entry.value) : hidden.add(entry.value);
          applyLabels();
        };
        return element("label", { className: "group" }, box, swatch(entry.colour), entry.name);
      }),
    );
  }

  function viewControls() {
    $("views").replaceChildren(
      ...VIEWS.map(([title, name]) => {
        const button = element("button", { type: "button", textContent: title, ariaPressed: String(name === view) });
        button.onclick = () => {
          view = name;
          $("views").querySelectorAll("button").forEach((other) => (other.ariaPressed = String(other === button)));
          if (nv) applyView();
        };
        return button;
      }),
    );
  }

  function toggleOutline() {
    if (nv) nv.setAtlasOutline($("outline").checked ? 1 : 0);
  }

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input[type=text], select, textarea");
    if (typing) return;
    const layers = layersOf(data.cases[current]);
    const actions = {
      j: () => show(current + 1),
      k: () => show(current - 1),
      p: () => marks.toggle("pass"),
      f: () => marks.toggle("fail"),
      e: () => marks.toggle("needs-edit"),
      o: () => $("outline").click(),
    };
    layers.forEach((layer, place) => {
      actions[String(place + 1)] = () => document.querySelector(`[data-layer="${layer.name}"]`).click();
    });
    const action = actions[event.key.toLowerCase()];
    if (action) {
      event.preventDefault();
      action();
    }
  }

  function connect() {
    document.querySelectorAll("[data-case]").forEach((button) => (button.onclick = () => show(Number(button.dataset.case))));
    $("channel").onchange = draw;
    $("outline").onchange = toggleOutline;
    $("radiological").onchange = () => nv && nv.setRadiologicalConvention($("radiological").checked);
    document.addEventListener("keydown", keys);
  }

  viewControls();
  labelControls();
  connect();
  start().then(() => show(0));
})();
