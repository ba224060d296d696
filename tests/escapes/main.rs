//! Hostile guests. Each file is one idea and bears the number of the requirement it attacks.

mod host;
mod script;
#[path = "../support/mod.rs"]
mod support;

mod t01_pointers;
mod t02_counts;
mod t03_memories;
mod t04_alignment;
mod t05_results;
mod t06_lists;
mod t07_shared_memory;
mod t08_lengths;
mod t09_readdir;
mod t107_limits;
mod t108_deadline;
mod t10_unknown_bits;
mod t111_output;
mod t112_endings;
mod t113_information;
mod t115_terminal;
mod t11_padding;
mod t12_offsets;
mod t14_climbs;
mod t15_final_link;
mod t16_directory_link;
mod t17_trailing_slash;
mod t18_attributes;
mod t19_absolute_target;
mod t20_between_grants;
mod t21_read_only;
mod t22_rights;
mod t23_moves;
mod t24_kernel_interfaces;
mod t25_special_files;
mod t26_odd_paths;
mod t27_forms;
mod t28_overlaps;
mod t29_names_outside;
mod t31_streams;
mod t32_renumber;
mod t33_sweep;
mod t34_exhaustion;
mod t35_stream_flags;
mod unmonitored;
mod unmonitored_gaps;
