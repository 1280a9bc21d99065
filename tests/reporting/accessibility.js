// What a test asks of a page: the contrast of each text with its ground (WCAG 2.1, 1.4.3), and controls without a name.
() => {
  const colour = (text) => {
    const numbers = text.match(/[\d.]+/g).map(Number);
    return { rgb: numbers.slice(0, 3), alpha: numbers.length > 3 ? numbers[3] : 1 };
  };
  const linear = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = ([red, green, blue]) =>
    0.2126 * linear(red / 255) + 0.7152 * linear(green / 255) + 0.0722 * linear(blue / 255);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const { rgb, alpha } = colour(getComputedStyle(one).backgroundColor);
      if (alpha > 0.9) return rgb;
    }
    return [255, 255, 255];
  };
  const ratios = {};
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const element = text.parentElement;
    const shown = !["SCRIPT", "STYLE"].includes(element.tagName) && element.checkVisibility();
    if (!shown || !text.textContent.trim()) continue;
    const style = getComputedStyle(element);
    const drawn = element instanceof SVGElement;
    const below = ground(element);
    const { rgb } = colour(drawn ? style.fill : style.color);
    const opacity = drawn ? style.fillOpacity * style.opacity : 1;
    const mixed = rgb.map((value, place) => opacity * value + (1 - opacity) * below[place]);
    const [light, dark] = [luminance(mixed), luminance(below)].sort((one, other) => other - one);
    ratios[`${element.tagName} ${text.textContent.trim().slice(0, 40)}`] = (light + 0.05) / (dark + 0.05);
  }
  const controls = [...document.querySelectorAll("button, input, select")];
  const named = (one) => one.labels?.length || one.ariaLabel || one.textContent.trim();
  return { ratios, nameless: controls.filter((one) => !named(one)).map((one) => one.outerHTML) };
};
