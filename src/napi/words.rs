//! The identifiers that tell of NAPI, over all kernels from 2.6.18 on.

use super::What;

/// Calls, by what they do.
const CALLS: [(What, &[&str]); 6] = [
    (
        What::Add,
        &[
            "netif_napi_add",
            "netif_napi_add_weight",
            "netif_napi_add_tx",
            "netif_napi_add_tx_weight",
            "netif_napi_add_config",
            "netif_napi_add_locked",
            "netif_napi_add_weight_locked",
            "netif_napi_add_config_locked",
            "netif_tx_napi_add",
            "netif_threaded_napi_add",
        ],
    ),
    (
        What::Switch,
        &[
            "napi_enable",
            "napi_enable_locked",
            "napi_disable",
            "napi_disable_locked",
            "napi_synchronize",
            "netif_napi_del",
            "__netif_napi_del",
            "netif_napi_del_locked",
            "netif_napi_set_irq",
            "netif_napi_set_irq_locked",
            "netif_queue_set_napi",
            "netif_poll_enable",
            "netif_poll_disable",
        ],
    ),
    (
        What::Schedule,
        &[
            "napi_schedule",
            "napi_schedule_irqoff",
            "__napi_schedule",
            "__napi_schedule_irqoff",
            "napi_schedule_prep",
            "napi_reschedule",
            "netif_rx_schedule",
            "__netif_rx_schedule",
            "netif_rx_schedule_prep",
            "netif_rx_reschedule",
            "netif_rx_schedule_test",
        ],
    ),
    (
        What::Complete,
        &[
            "napi_complete",
            "napi_complete_done",
            "__napi_complete",
            "netif_rx_complete",
            "__netif_rx_complete",
        ],
    ),
    (
        What::Receive,
        &[
            "napi_gro_receive",
            "napi_gro_frags",
            "napi_gro_flush",
            "netif_receive_skb",
            "netif_receive_skb_list",
            "netif_receive_skb_core",
            "vlan_hwaccel_receive_skb",
            "vlan_gro_receive",
            "vlan_gro_frags",
        ],
    ),
    (
        What::Buffer,
        &[
            "napi_alloc_skb",
            "__napi_alloc_skb",
            "napi_alloc_frag",
            "napi_alloc_frag_align",
            "napi_build_skb",
            "napi_get_frags",
            "napi_free_frags",
            "napi_reuse_skb",
            "napi_consume_skb",
            "napi_skb_free_stolen_head",
        ],
    ),
];

/// The type of a context.
pub(super) const CONTEXT: &str = "napi_struct";

/// The caution that matters most: a strip would have to decide what happens to the queues.
pub(super) const SEVERAL: &str = "several contexts";

/// What a call to `word` does.
pub(super) fn call(word: &str) -> Option<What> {
    CALLS
        .iter()
        .find(|(_, words)| words.contains(&word))
        .map(|(what, _)| *what)
}

/// Why a driver with this identifier must keep NAPI.
pub(super) fn refusal(word: &str) -> Option<&'static str> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|p| word.starts_with(p));
    if starts(&[
        "xdp_",
        "XDP_",
        "bpf_prog_run_xdp",
        "ndo_bpf",
        "ndo_xdp",
        "xsk_buff_",
    ]) {
        Some("XDP")
    } else if starts(&["page_pool_"]) {
        Some("page pool")
    } else if matches!(word, "ndo_busy_poll" | "napi_busy_loop" | "sk_mark_ll") {
        Some("busy polling")
    } else {
        None
    }
}

/// What a strip has to look after where this identifier stands.
pub(super) fn caution(word: &str) -> Option<&'static str> {
    match word {
        // Taken in a hard interrupt, too, they deadlock.
        "spin_lock_bh" | "spin_trylock_bh" | "local_bh_disable" | "netif_tx_lock_bh"
        | "__netif_tx_lock_bh" => Some("locks"),
        // On 32 bits, a reader must then keep interrupts away.
        "u64_stats_update_begin" => Some("statistics"),
        _ => None,
    }
}

/// Words of which a file must have one to be looked into.
pub(super) fn needles() -> Vec<&'static str> {
    let calls = CALLS.iter().flat_map(|(_, words)| words.iter().copied());
    let refusals = [
        "xdp_buff",
        "bpf_prog_run_xdp",
        "ndo_bpf",
        "page_pool_create",
        "page_pool_put_page",
        "page_pool_put_full_page",
        "page_pool_dev_alloc_pages",
        "ndo_busy_poll",
    ];
    calls.chain([CONTEXT]).chain(refusals).collect()
}
