// @ts-check
/**
 * Stopping a training from the page.
 *
 * @typedef {import("./dashboard.js").Model} Model
 */

const PATIENCE = 2000;

/**
 * Ends a training while its cell runs. A widget's own messages would wait for the cell, so this
 * asks on the kernel's control channel; with no answer in two seconds it interrupts the kernel.
 */
export class Brake {
  /** @param {Model} model @param {() => boolean} running */
  constructor(model, running) {
    this.kernel = model.widget_manager?.kernel;
    this.running = running;
    this.answers = typeof this.kernel?.sendControlMessage === "function";
    this.interrupts = typeof this.kernel?.interrupt === "function";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** @param {boolean} listening  whether the other end answers to control messages */
  works(listening) {
    return (this.answers && listening) || this.interrupts;
  }

  /** @param {string} run @param {boolean} listening @param {boolean} now */
  pull(run, listening, now) {
    this.release();
    if (!this.running()) return;
    if (!(this.answers && listening)) return this.interrupt();
    try {
      const future = this.send("kmagic_stop", { run, now });
      if (future) future.onReply = () => this.release();
    } catch {
      return this.interrupt();
    }
    this.timer = setTimeout(() => this.interrupt(), PATIENCE);
  }

  /** Says that a page shows this run, so that nothing else need be shown. @param {string} run */
  hello(run) {
    try {
      if (this.answers) this.send("kmagic_seen", { run });
    } catch {
      // A connection that is not there yet: the kernel sends the card beside the widget.
    }
  }

  /** @param {string} type @param {object} content */
  send(type, content) {
    const header = {
      date: new Date().toISOString(),
      msg_id: `kmagic-${Date.now()}-${Math.random().toString(36).slice(2)}`,
      msg_type: type,
      session: this.kernel.clientId ?? "",
      username: this.kernel.username ?? "",
      version: "5.3",
    };
    const message = { header, parent_header: {}, metadata: {}, content, channel: "control", buffers: [] };
    return this.kernel.sendControlMessage(message, true, true);
  }

  interrupt() {
    this.release();
    // Never after the run has ended: the interrupt would hit whatever the kernel does then.
    if (this.interrupts && this.running()) this.kernel.interrupt();
  }

  release() {
    clearTimeout(this.timer);
  }
}
