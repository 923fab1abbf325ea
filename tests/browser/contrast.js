/**
 * The texts of an element whose contrast is less than 4.5, WCAG's limit for small text, as
 * [contrast, text, element]. All backgrounds above each other are mixed, and opacity counts.
 *
 * Left out: disabled controls, as in WCAG, and the dots that stand for zero.
 */
(root) => {
  const MIN = 4.5;
  const [canvas, pen] = [document.createElement("canvas"), { last: "" }];
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });

  /** A colour of CSS, in any notation, as red, green, blue and opacity. */
  const parse = (colour) => {
    if (pen.last !== colour) {
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
      Object.assign(pen, { last: colour, value: [...context.getImageData(0, 0, 1, 1).data] });
    }
    const [red, green, blue, opacity] = pen.value;
    return [red, green, blue, opacity / 255];
  };
  const mix = ([r, g, b, opacity], under) =>
    [r, g, b].map((value, at) => value * opacity + under[at] * (1 - opacity));
  const luminance = (colour) => {
    const [r, g, b] = colour.map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  const low = [];
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.trim();
    const element = texts.currentNode.parentElement;
    const { width, height } = element.getBoundingClientRect();
    if (!text || width < 2 || height < 2 || !element.checkVisibility()) continue;
    if (element.closest("style, title, option, .km-empty, :disabled")) continue;
    const ancestors = [];
    for (let each = element; each; each = each.parentElement) ancestors.unshift(each);
    const style = getComputedStyle(element);
    const inDrawing = element.ownerSVGElement !== null && element.ownerSVGElement !== undefined;
    let ground = [255, 255, 255];
    let opacity = inDrawing ? Number(style.fillOpacity) : 1;
    for (const each of ancestors) {
      const { backgroundColor, opacity: own } = getComputedStyle(each);
      if (!each.ownerSVGElement) ground = mix(parse(backgroundColor), ground);
      opacity *= Number(own);
    }
    const [r, g, b, a] = parse(inDrawing ? style.fill : style.color);
    const [light, dark] = [luminance(mix([r, g, b, a * opacity], ground)), luminance(ground)]
      .sort((one, other) => other - one);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < MIN) low.push([Number(contrast.toFixed(2)), text.slice(0, 40), element.outerHTML.slice(0, 80)]);
  }
  return low;
}
