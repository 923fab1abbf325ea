// @ts-check
/**
 * The live view of a search: the card, which the kernel sends about once per second, and a Stop button
 * that stays where it is. The button and the kernel's answer are those of a training's live view.
 *
 * @typedef {import("../training/live_view.js").WidgetModel} WidgetModel
 */

import { button, element, setText } from "../kit/elements.js";
import { StopControl } from "../training/stop_control.js";

class StudyView {
  /** @param {WidgetModel} model @param {HTMLElement} host */
  constructor(model, host) {
    this.model = model;
    this.stops = 0;
    this.control = new StopControl(model, () => this.model.get("running"));
    if (model.get("running") && model.get("control_channel")) this.control.announce(model.get("study"));
    this.card = element("div");
    this.stopButton = button("", () => this.stop());
    host.append(this.card);
    const onChange = () => this.render();
    model.on("change:card", onChange);
    model.on("change:running", onChange);
    this.dispose = () => {
      model.off("change:card", onChange);
      model.off("change:running", onChange);
      this.control.cancelTimer();
    };
    this.render();
  }

  stop() {
    this.stops += 1;
    this.control.request(this.model.get("study"), this.model.get("control_channel"), this.stops > 1);
    this.renderButton();
  }

  render() {
    const focused = document.activeElement === this.stopButton;
    const scrolled = this.scrollPositions();
    this.card.innerHTML = this.model.get("card"); // made by the kernel, with all names escaped
    this.scrollPositions().forEach((pane, index) => {
      pane.node.scrollLeft = scrolled[index]?.left ?? 0;
    });
    this.card.querySelector(".km-study-stop")?.append(this.stopButton);
    this.renderButton();
    if (focused) this.stopButton.focus();
  }

  scrollPositions() {
    const panes = [.../** @type {NodeListOf<HTMLElement>} */ (this.card.querySelectorAll(".km-table-scroll"))];
    return panes.map((node) => ({ node, left: node.scrollLeft }));
  }

  renderButton() {
    const available = this.control.isAvailable(this.model.get("control_channel"));
    this.stopButton.hidden = !this.model.get("running");
    this.stopButton.disabled = !available || this.stops > 1;
    const label = !available ? "To stop, use the notebook's interrupt button"
      : this.stops > 1 ? "Ending" : this.stops ? "End now" : "\u25a0\u2002Stop";
    setText(this.stopButton, label);
    this.stopButton.title = this.stops ? "end the running trials at once"
      : "start no further trial, and end the running ones after their epoch";
  }
}

export default {
  /** @param {{model: WidgetModel, el: HTMLElement}} context */
  render({ model, el }) {
    const view = new StudyView(model, el);
    return () => view.dispose();
  },
};
