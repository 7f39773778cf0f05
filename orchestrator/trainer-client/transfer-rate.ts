/** How far a transfer is and how fast it goes, for people. */
export class TransferRate {
  private done = 0;
  private readonly began = performance.now();

  /** total: bytes to move */
  constructor(private readonly total: number) {}

  /** `12 of 90 MB, 35 MB/s`, after so many more bytes. */
  add(bytes: number): string {
    this.done += bytes;
    const seconds = Math.max((performance.now() - this.began) / 1000, 0.001);
    const [unit, name] = this.total < 1e6 ? [1e3, 'kB'] : [1e6, 'MB'];
    const count = (value: number): string => Math.ceil(value / unit).toLocaleString('en-US');
    const speed = `${count(this.done / seconds)} ${name}/s`;
    return `${count(this.done)} of ${count(this.total)} ${name}, ${speed}`;
  }
}
