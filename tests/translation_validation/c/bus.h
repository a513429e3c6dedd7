/* The mock bus: what both versions of every function see. */
#ifndef BUS_H
#define BUS_H

typedef unsigned char u8;
typedef signed char s8;
typedef unsigned short u16;
typedef short s16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;
typedef _Bool bool;

struct sub {
	u8 in1, in2;
};

/* `flag` lies first: byte pointers walk upwards only, so it never holds what no bool can. */
struct tf {
	bool flag;
	void *addr;
	u8 cmd;
	s8 sg;
	u16 w;
	s16 sw;
	u32 l;
	s32 sl;
	u64 q;
	u8 st;
	u32 b3 : 3, b5 : 5;
	s32 sb : 6;
	u32 one : 1;
	u8 arr[4];
	union {
		u16 uw;
		u8 ulo;
	};
	union pair {
		u32 word;
		struct {
			u8 lo, hi;
		} part;
	} un;
	struct sub sub;
	u16 port;
	u8 pad[160];
};

struct hw {
	bool mmio;
	void (*OUTB)(u8 value, u32 port);
	void (*OUTW)(u16 value, u32 port);
	void (*OUTL)(u32 value, u32 port);
	u8 (*INB)(u32 port);
	u16 (*INW)(u32 port);
	u32 (*INL)(u32 port);
	u32 (*get)(struct hw *hw);
};

/* What the device may look at during an access (it is part of the log); nothing is read into it. */
struct desc {
	u32 len;
	u8 own;
};
extern struct desc gd;
extern u8 gdma[4];
extern u32 gseen;

/* `g8` lies where `q` may point. */
extern u8 g8, sh;
extern u16 g16;
extern u32 g32, g_base;
extern u8 garr[4];
extern struct tf gs;
/* An interrupt handler's: changes with each access. */
extern u32 g_irq;

#define likely(x) __builtin_expect(!!(x), 1)
#define barrier() asm volatile ("" ::: "memory")

void outb(u8 value, u32 port);
void outw(u16 value, u32 port);
void outl(u32 value, u32 port);
u8 inb(u32 port);
u16 inw(u32 port);
u32 inl(u32 port);
void outb_p(u8 value, u32 port);
void outw_p(u16 value, u32 port);
void outl_p(u32 value, u32 port);
u8 inb_p(u32 port);
u16 inw_p(u32 port);
u32 inl_p(u32 port);
void iowrite8(u8 value, void *cookie);
void iowrite16(u16 value, void *cookie);
void iowrite32(u32 value, void *cookie);
u32 ioread8(const void *cookie);
u32 ioread16(const void *cookie);
u32 ioread32(const void *cookie);

u32 opaque(struct tf *t, u64 arg);
u32 opaque_val(u32 arg);
void keep(u8 *where, u8 add);
void trace(u64 arg);
u32 pure_fn(u32 arg);
u32 pure_mem(const struct tf *t);
void watch(volatile u8 *what);

typedef s64 test_fn(struct tf *t, struct tf *u, u8 *q, u16 *r, u32 n, u8 c, u64 w, u32 p,
		    u8 *ck, u8 *mm, struct hw *hw, struct hw *hw2);
struct table {
	unsigned int count;
	test_fn *const *fns;
};

#endif
