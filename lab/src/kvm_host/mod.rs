//! Where VMMs run on real KVM: this machine, when its KVM has hardware behind it; else a machine of QEMU's, whose processor can do
//! AMD's SVM in software, with a kernel whose KVM does not know the difference.

mod task;

pub use task::{Done, Phase, Place, Task, Traced, Vmm};
