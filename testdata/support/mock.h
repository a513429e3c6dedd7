/* The parts of a kernel that lib/xkvm_io.c uses, in user space. */
#ifndef MOCK_H
#define MOCK_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;

#define __iomem
#define __force
#define __init
#define __initdata
#define __read_mostly
#define EXPORT_SYMBOL_GPL(name)
#define MODULE_DESCRIPTION(text) _Static_assert(sizeof(text), "")
#define MODULE_LICENSE(text) _Static_assert(sizeof(text), "")
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define BUILD_BUG_ON(c)		_Static_assert(!(c), #c)
#define min(a, b)		((a) < (b) ? (a) : (b))
#define barrier()		__asm__ __volatile__("" : : : "memory")
#define READ_ONCE(x)		(*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, val)	(*(volatile typeof(x) *)&(x) = (val))
#define smp_wmb()		barrier()
#define smp_rmb()		barrier()
#define pr_info(...)		snprintf(mock_said, sizeof(mock_said), __VA_ARGS__)
#define core_initcall(fn)	int mock_init(void) { return fn(); }
#define __setup(name, fn)	int mock_setup(char *s) { return fn(s); }

/* Hibernation */
struct notifier_block { int (*notifier_call)(struct notifier_block *, unsigned long, void *); };
#define PM_HIBERNATION_PREPARE	1
#define PM_POST_HIBERNATION	2
#define NOTIFY_DONE		0
#define pm_notifier(fn, priority) (mock_pm.notifier_call = (fn))
extern struct notifier_block mock_pm;

extern char mock_said[200];
int mock_init(void);
int mock_setup(char *s);

/* Two processors, of which the harness picks one */
extern int mock_cpu, mock_irqs_off;
#define NR_CPUS			2
#define DEFINE_PER_CPU(type, name) type name[NR_CPUS]
#define per_cpu(name, cpu)	((name)[cpu])
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < NR_CPUS; (cpu)++)
static inline int smp_processor_id(void)
{
	if (!mock_irqs_off)
		abort();
	return mock_cpu;
}

#define local_irq_save(flags)	do { (flags) = mock_irqs_off; mock_irqs_off = 1; } while (0)
#define local_irq_restore(flags) (mock_irqs_off = (flags))

/* Memory: one arena is the direct map */
#define PAGE_SHIFT		12
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define GFP_KERNEL		0
#define ARENA			(1UL << 20)
#define ARENA_GPA		0x7fffe000UL
extern char mock_arena[ARENA];
#define PAGE_OFFSET		((unsigned long)mock_arena)
#define high_memory		((void *)(mock_arena + ARENA))
unsigned long get_zeroed_page(int gfp);
void free_page(unsigned long page);
unsigned long virt_to_phys(void *p);

/* The processor */
#define CC_ATTR_GUEST_MEM_ENCRYPT 0
int cc_platform_has(int what);
struct cpuinfo { int cpuid_level; };
extern struct cpuinfo boot_cpu_data;
void cpuid(u32 leaf, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
u32 cpuid_ecx(u32 leaf);
u32 cpuid_ebx(u32 leaf);
long kvm_hypercall3(unsigned int nr, unsigned long a, unsigned long b, unsigned long c);

/* The bus */
void outb(u8 value, int port);
void outw(u16 value, int port);
void outl(u32 value, int port);
u8 inb(int port);
u16 inw(int port);
u32 inl(int port);
void outsb(int port, const void *buf, unsigned long count);
void outsw(int port, const void *buf, unsigned long count);
void outsl(int port, const void *buf, unsigned long count);
void insb(int port, void *buf, unsigned long count);
void insw(int port, void *buf, unsigned long count);
void insl(int port, void *buf, unsigned long count);
void iowrite8(u8 value, void *addr);
void iowrite16(u16 value, void *addr);
void iowrite32(u32 value, void *addr);
u32 ioread8(void *addr);
u32 ioread16(void *addr);
u32 ioread32(void *addr);
#define writeb(value, addr)	iowrite8(value, addr)
#define writew(value, addr)	iowrite16(value, addr)
#define writel(value, addr)	iowrite32(value, addr)
#define readb(addr)		ioread8(addr)
#define readw(addr)		ioread16(addr)
#define readl(addr)		ioread32(addr)
void iowrite8_rep(void *addr, const void *buf, unsigned long count);
void iowrite16_rep(void *addr, const void *buf, unsigned long count);
void iowrite32_rep(void *addr, const void *buf, unsigned long count);
void ioread8_rep(void *addr, void *buf, unsigned long count);
void ioread16_rep(void *addr, void *buf, unsigned long count);
void ioread32_rep(void *addr, void *buf, unsigned long count);

#endif
