//! Does nothing but refer to the monitor's decisions, so that each of them is a function of this program. The proofs read
//! from it those that the compiler inlines in the command. It is built from the same source with the same profile.

fn main() {
    std::hint::black_box(&wave_monitor::PROVED);
}
