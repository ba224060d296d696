#![allow(missing_docs)]
use iced_x86::*;
use std::collections::BTreeMap;
use wave_compiler::*;
use wave_contract::context::*;
use wave_contract::types::*;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let bytes = std::fs::read(&args[1]).unwrap();
    let bytes = wat::parse_bytes(&bytes).unwrap().into_owned();
    let module = Module::parse(&bytes).unwrap();
    let info = module.info();
    let mut reg = SignatureRegistry::default();
    let sigs: Vec<_> = info.types.iter().map(|t| reg.intern(t)).collect();
    let imports = vec![ImportLinkage::Host; info.imported_functions as usize];
    let addressing = if args[2] == "arg" {
        Addressing::Arg
    } else {
        let layout = ContextLayout::new(info).unwrap();
        Addressing::Fixed(FixedAddresses {
            context: 0x1000_0000,
            results: 0x1100_0000,
            memories: info
                .memories
                .iter()
                .map(|_| MemoryAddresses { base: 0x4000_0000, descriptor: 0x1200_0000 })
                .collect(),
            tables: (0..info.tables.len() as u64).map(|i| 0x2000_0000 + i * 0x10_0000).collect(),
            globals: (0..info.globals.len() as u32)
                .map(|i| match layout.global(i) {
                    GlobalSlot::Cell(c) => 0x1000_0000 + u64::from(c),
                    GlobalSlot::Pointer(_) => 0x1300_0000 + 16 * u64::from(i),
                })
                .collect(),
        })
    };
    let image = module
        .compile(&CompileOptions {
            addressing,
            signatures: &sigs,
            imports: &imports,
            threads: 2,
            verify_ir: false,
            canonical_nans: false,
        })
        .unwrap();
    if args[3] == "verify" {
        let terms = wave_verifier::Terms {
            addressing: image.addressing.clone(),
            signatures: sigs,
            host_imports: vec![true; info.imported_functions as usize],
        };
        let mut best = std::time::Duration::MAX;
        for _ in 0..20 {
            let (image, terms) = (image.clone(), terms.clone());
            let cpu = || {
                std::time::Duration::from_nanos(
                    std::fs::read_to_string("/proc/thread-self/schedstat")
                        .unwrap()
                        .split(' ')
                        .next()
                        .unwrap()
                        .parse()
                        .unwrap(),
                )
            };
            let s = cpu();
            let r = wave_verifier::verify(image, &bytes, terms, 1);
            best = best.min(cpu() - s);
            match r {
                Ok((_, r)) => println!("{r:?} {:?} {:.1} MB/s", best, r.bytes as f64 / 1e6 / best.as_secs_f64()),
                Err(wave_verifier::VerifyError::Refused(e)) => {
                    for r in e {
                        println!("{r}");
                    }
                    break;
                }
                Err(e) => panic!("{e}"),
            }
        }
    } else if args[3] == "hist" {
        let mut hist: BTreeMap<String, usize> = BTreeMap::new();
        for f in image.functions.iter().chain(image.entries.iter().map(|e| &e.code)) {
            let code = &image.text[f.start as usize..(f.start + f.len) as usize];
            let mut d = Decoder::with_ip(64, code, u64::from(f.start), DecoderOptions::NONE);
            for i in &mut d {
                *hist.entry(format!("{:?}", i.code())).or_default() += 1;
            }
        }
        for (k, v) in hist {
            println!("{v} {k}");
        }
    } else {
        let n: usize = args[3].parse().unwrap();
        let f = image.functions.get(n).copied().unwrap_or_else(|| image.entries[n - image.functions.len()].code);
        let code = &image.text[f.start as usize..(f.start + f.len) as usize];
        let mut fmt = IntelFormatter::new();
        for i in &mut Decoder::with_ip(64, code, u64::from(f.start), DecoderOptions::NONE) {
            let mut s = String::new();
            fmt.format(&i, &mut s);
            println!("{:x} {s}", i.ip());
        }
    }
}
