//! Hooks of the tests: a layer left out, or made to fail. Only the feature `test-hooks` compiles them, and only
//! development dependencies ask for it.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Cause, LayerName};

static LEFT_OUT: AtomicU32 = AtomicU32::new(0);
static FAILING: AtomicU32 = AtomicU32::new(0);

/// From now on, [`seal`](crate::seal) skips this layer and reports it as not requested.
pub fn leave_out(layer: LayerName) {
    LEFT_OUT.fetch_or(bit(layer), Ordering::Relaxed);
}

/// From now on, the step of this layer fails in [`seal`](crate::seal).
pub fn fail(layer: LayerName) {
    FAILING.fetch_or(bit(layer), Ordering::Relaxed);
}

pub(crate) fn is_left_out(layer: LayerName) -> bool {
    LEFT_OUT.load(Ordering::Relaxed) & bit(layer) != 0
}

pub(crate) fn check(layer: LayerName) -> Result<(), Cause> {
    if FAILING.load(Ordering::Relaxed) & bit(layer) == 0 { Ok(()) } else { Err(Cause::Injected) }
}

fn bit(layer: LayerName) -> u32 {
    1 << layer as u32
}
