//! Linear memory, vectors.

use super::Translator;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::MemArg;

impl<'b> Translator<'_, 'b> {
    /// A load of 8 bytes whose lanes become twice as wide.
    pub(super) fn load_widen(
        &mut self,
        memarg: &MemArg,
        operation: impl FnOnce(FuncInstBuilder<'_, 'b>, MemFlagsData, Value, i32) -> Value,
    ) {
        let (base, offset) = self.address(memarg, 8);
        let flags = self.e.heap();
        let value = operation(self.ins(), flags, base, offset);
        self.push(value);
    }

    pub(super) fn load_splat(&mut self, ty: Type, memarg: &MemArg) {
        let lane = self.load_value(ty.lane_type(), memarg);
        let value = self.ins().splat(ty, lane);
        self.push(value);
    }

    /// A load of the lowest lane; the others become 0.
    pub(super) fn load_zero(&mut self, ty: Type, memarg: &MemArg) {
        let lane = self.load_value(ty.lane_type(), memarg);
        let value = self.ins().scalar_to_vector(ty, lane);
        self.push(value);
    }

    pub(super) fn load_lane(&mut self, ty: Type, memarg: &MemArg, lane: u8) {
        let vector = self.pop_vector(ty);
        let scalar = self.load_value(ty.lane_type(), memarg);
        let value = self.ins().insertlane(vector, scalar, lane);
        self.push(value);
    }

    pub(super) fn store_lane(&mut self, ty: Type, memarg: &MemArg, lane: u8) {
        let vector = self.pop_vector(ty);
        let scalar = self.ins().extractlane(vector, lane);
        self.store_value(scalar, memarg);
    }
}
