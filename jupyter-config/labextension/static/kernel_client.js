// @ts-check
/** Asks the kernel about texts. One client serves all editors of a notebook, in all its views. */

const TARGET = 'kmagic.editor';
const MAY_LOAD_KMAGIC = /kmagic|%keras_/;
const ENDED = new Set(['restarting', 'autorestarting', 'terminating', 'dead', 'unknown']);

/** @typedef {{message: any, resolve: (answer: any) => void}} Request */

/** Events: "connected", "lost", "executed" (a cell has run) and "status". */
export class KernelClient extends EventTarget {
  #name = crypto.getRandomValues(new Uint32Array(2)).join('-');
  #context;
  /** @type {any} */
  #comm = null;
  /** Counts connections: what belongs to an earlier one is ignored. */
  #connection = 0;
  #hasEnded = false;
  #requests = 0;
  /** @type {Request | null} */
  #sent = null;
  /** @type {Map<object, Map<string, Request>>} by who asks, the newest request of each kind */
  #waiting = new Map();
  /** @type {Map<string, string>} the code of cells that run, by message */
  #running = new Map();

  /** @param {any} context the session of a notebook */
  constructor(context) {
    super();
    this.#context = context;
    context.kernelChanged.connect(() => this.#reconnect());
    context.connectionStatusChanged.connect((/** @type {any} */ _, /** @type {string} */ status) => {
      if (status === 'connected') this.#reconnect();
    });
    context.statusChanged.connect((/** @type {any} */ _, /** @type {string} */ status) => {
      if (ENDED.has(status)) {
        this.#hasEnded = true;
        this.#lose();
      } else if (this.#hasEnded && status === 'idle') {
        this.#hasEnded = false;
        this.#reconnect();
      }
      this.#emit('status');
    });
    context.iopubMessage.connect((/** @type {any} */ _, /** @type {any} */ message) => this.#watch(message));
    this.#reconnect();
  }

  /** The status is that of the last message, so while a cell runs a debugger's message makes it idle. */
  get busy() {
    return this.#running.size > 0 || this.#context.session?.kernel?.status === 'busy';
  }

  /**
   * Asks the kernel. A newer request of the same kind replaces one that waits.
   * @param {object} owner who asks
   * @param {string} kind
   * @param {Record<string, any>} fields
   * @returns {Promise<any>} the answer, or null if there is none
   */
  request(owner, kind, fields) {
    if (!this.#comm) return Promise.resolve(null);
    return new Promise(resolve => {
      const own = this.#waiting.get(owner) ?? new Map();
      own.get(kind)?.resolve(null);
      this.#requests += 1;
      own.set(kind, { message: { kind, client: this.#name, id: this.#requests, ...fields }, resolve });
      this.#waiting.set(owner, own);
      this.#send();
    });
  }

  /** @param {object} owner who does not want its answers any more */
  forget(owner) {
    this.#waiting.delete(owner);
  }

  /** @param {string} type */
  #emit(type) {
    this.dispatchEvent(new Event(type));
  }

  /** Forgets the kernel and what it was asked. */
  #lose() {
    this.#connection += 1;
    const comm = this.#comm;
    const open = [...this.#waiting.values()].flatMap(own => [...own.values()]);
    if (this.#sent) open.push(this.#sent);
    this.#comm = this.#sent = null;
    this.#waiting.clear();
    if (comm && !comm.isDisposed) comm.dispose();
    for (const { resolve } of open) resolve(null);
    this.#emit('lost');
  }

  #reconnect() {
    this.#running.clear();
    this.#lose();
    this.#connect().catch(() => {}); // the kernel ended meanwhile
  }

  /** Attaches to the comm of the kernel, if kmagic is loaded there. */
  async #connect() {
    const kernel = this.#context.session?.kernel;
    const connection = this.#connection;
    if (!kernel || this.#comm) return;
    const { content } = await kernel.requestCommInfo({ target_name: TARGET });
    const [id] = Object.keys(content.comms ?? {});
    if (!id || this.#connection !== connection || this.#comm) return;
    const comm = kernel.createComm(TARGET, id);
    this.#comm = comm;
    comm.onMsg = (/** @type {any} */ { content: { data } }) => {
      const sent = this.#sent;
      if (sent && data.client === this.#name && data.id === sent.message.id) this.#finish(sent, data);
    };
    comm.onClose = () => {
      if (this.#comm === comm) this.#lose();
    };
    this.#emit('connected');
  }

  #send() {
    if (this.#sent || !this.#comm) return;
    for (const [owner, own] of this.#waiting) {
      for (const [kind, request] of own) {
        own.delete(kind);
        if (!own.size) this.#waiting.delete(owner);
        this.#sent = request;
        // The answer may come after the end of the message, and not at all if the kernel ends.
        this.#comm.send(request.message).done.catch(() => {});
        return;
      }
    }
  }

  /** @param {Request} request @param {any} answer */
  #finish(request, answer) {
    if (this.#sent !== request) return;
    this.#sent = null;
    request.resolve(answer);
    this.#send();
  }

  /** @param {any} message from the kernel, to any page */
  #watch({ header, parent_header: parent, content }) {
    if (header.msg_type === 'execute_input') {
      this.#running.set(parent.msg_id, content.code);
      this.#emit('status');
    }
    if (header.msg_type !== 'status' || content.execution_state !== 'idle') return;
    const code = this.#running.get(parent.msg_id);
    if (code === undefined) return;
    this.#running.delete(parent.msg_id);
    this.#emit('status');
    if (this.#comm) this.#emit('executed');
    else if (MAY_LOAD_KMAGIC.test(code)) this.#connect().catch(() => {});
  }
}
