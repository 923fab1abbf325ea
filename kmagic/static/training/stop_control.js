// @ts-check
/**
 * Stopping a training from the page.
 *
 * @typedef {import("./live_view.js").WidgetModel} WidgetModel
 */

/** Milliseconds to wait for the kernel's reply before interrupting it. */
const REPLY_TIMEOUT = 2000;

/**
 * Stops a training while its cell runs. A widget's own messages wait for the cell to end, so this
 * sends on the kernel's control channel; without a reply it interrupts the kernel.
 */
export class StopControl {
  /** @param {WidgetModel} model @param {() => boolean} isRunning */
  constructor(model, isRunning) {
    this.kernel = model.widget_manager?.kernel;
    this.isRunning = isRunning;
    this.canSend = typeof this.kernel?.sendControlMessage === "function";
    this.canInterrupt = typeof this.kernel?.interrupt === "function";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** @param {boolean} listening  whether the kernel answers control messages */
  isAvailable(listening) {
    return (this.canSend && listening) || this.canInterrupt;
  }

  /** @param {string} run @param {boolean} listening @param {boolean} now  not after the batch */
  request(run, listening, now) {
    this.cancelTimer();
    if (!this.isRunning()) return;
    if (!(this.canSend && listening)) return this.interrupt();
    try {
      const future = this.send("kmagic_stop", { run, now });
      if (future) future.onReply = () => this.cancelTimer();
    } catch {
      return this.interrupt();
    }
    this.timer = setTimeout(() => this.interrupt(), REPLY_TIMEOUT);
  }

  /** Tell the kernel that a page shows this run, so that it need not send a card too. @param {string} run */
  announce(run) {
    try {
      if (this.canSend) this.send("kmagic_seen", { run });
    } catch {
      // Not connected yet: the kernel sends the card as well.
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
    this.cancelTimer();
    // Never after the run has ended: the interrupt would hit whatever the kernel does next.
    if (this.canInterrupt && this.isRunning()) this.kernel.interrupt();
  }

  cancelTimer() {
    clearTimeout(this.timer);
  }
}
