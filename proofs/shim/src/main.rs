//! Does nothing but refer to the monitor's decisions. It is built with debug information, from which the proofs read where the
//! fields of a type lie. That takes seconds; the command with debug information would take minutes.

fn main() {
    std::hint::black_box(&wave_monitor::PROVED);
}
