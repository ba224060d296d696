//! Tables and references.

use super::Translator;
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I32;

impl Translator<'_, '_> {
    pub(super) fn table_size(&mut self, table: u32) {
        let len = self.e.table_len(table);
        self.push(len);
    }

    pub(super) fn ref_null(&mut self) {
        let null = self.ins().iconst(I32, 0);
        self.push(null);
    }

    pub(super) fn ref_is_null(&mut self) {
        let reference = self.pop();
        let null = self.ins().icmp_imm_u(IntCC::Equal, reference, 0);
        self.push(null);
    }
}
