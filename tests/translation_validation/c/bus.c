/* Runs each function in both versions from the same start and compares everything they can have done. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_XKVM_IO 1
#include "xkvm_io.h"

#define INPUTS 7
#define MAX_LOG 20000

struct event {
	u32 kind;
	u64 a, b, c;
};
struct log {
	unsigned int count;
	struct event at[MAX_LOG];
};
enum { PAUSE = 0x20, OPAQUE = 0x30, OPAQUE_VAL, KEEP, GET, BAD_ENTRY, OVERRUN, MMIO = 0x100 };

static struct log io_log[2], trace_log[2];
static int now; /* 0: original, 1: rewritten */
static u64 stream;

static u64 arena[256]; /* aligned for everything */
static u8 garena[128];
extern u8 g8 __attribute__((alias("garena")));
struct desc gd;
u8 gdma[4], sh, garr[4];
u16 g16;
u32 gseen, g32, g_base, g_irq;
struct tf gs;
static volatile u8 *watched;
static u8 *kept;

static u64 next(void)
{
	stream += 0x9e3779b97f4a7c15ull;
	u64 z = stream;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static u64 hash(u64 sum, const void *what, size_t size)
{
	const u8 *at = what;

	while (size--)
		sum = (sum ^ *at++) * 0x100000001b3ull;
	return sum;
}

static u64 memory(void)
{
	u64 sum = hash(1, arena, sizeof(arena));

	sum = hash(sum, garena, sizeof(garena));
	sum = hash(sum, &sh, sizeof(sh));
	sum = hash(sum, garr, sizeof(garr));
	sum = hash(sum, &g16, sizeof(g16));
	sum = hash(sum, &g32, sizeof(g32));
	sum = hash(sum, &g_base, sizeof(g_base));
	return hash(sum, &gs, sizeof(gs));
}

static void put(struct log *log, u32 kind, u64 a, u64 b, u64 c)
{
	if (log->count < MAX_LOG)
		log->at[log->count++] = (struct event){ kind, a, b, c };
}

static void access_made(u32 kind, u64 addr, u64 value)
{
	u64 seen = hash(3, &gd.len, sizeof(gd.len));

	seen = hash(seen, &gd.own, sizeof(gd.own));
	seen = hash(seen, gdma, sizeof(gdma));
	seen = hash(seen, &gseen, sizeof(gseen));
	put(&io_log[now], kind, addr, value, seen);
	g_irq ^= io_log[now].count % 3 == 0;
	if (watched)
		*watched += 1;
}

static u32 cut(u32 kind, u32 value)
{
	u32 width = (kind - XKVM_OUTB) % 3;

	return width == 0 ? (u8)value : width == 1 ? (u16)value : value;
}

static u32 port_io(u32 kind, u32 port, u32 value)
{
	if (kind >= XKVM_INB)
		value = next();
	value = cut(kind, value);
	access_made(kind, (u16)port, value);
	return value;
}

/* As lib/iomap.c of the kernel: low cookies are ports. */
static u32 cookie_io(u32 kind, unsigned long cookie, u32 value)
{
	if (cookie < 0x40000)
		return port_io(kind, cookie & 0xffff, value);
	if (kind >= XKVM_INB)
		value = next();
	value = cut(kind, value);
	access_made(MMIO | kind, cookie, value);
	return value;
}

void outb(u8 v, u32 p) { port_io(XKVM_OUTB, p, v); }
void outw(u16 v, u32 p) { port_io(XKVM_OUTW, p, v); }
void outl(u32 v, u32 p) { port_io(XKVM_OUTL, p, v); }
u8 inb(u32 p) { return port_io(XKVM_INB, p, 0); }
u16 inw(u32 p) { return port_io(XKVM_INW, p, 0); }
u32 inl(u32 p) { return port_io(XKVM_INL, p, 0); }
static void paused(void) { put(&io_log[now], PAUSE, 0, 0, 0); }
void outb_p(u8 v, u32 p) { outb(v, p); paused(); }
void outw_p(u16 v, u32 p) { outw(v, p); paused(); }
void outl_p(u32 v, u32 p) { outl(v, p); paused(); }
u8 inb_p(u32 p) { u8 v = inb(p); paused(); return v; }
u16 inw_p(u32 p) { u16 v = inw(p); paused(); return v; }
u32 inl_p(u32 p) { u32 v = inl(p); paused(); return v; }
void iowrite8(u8 v, void *c) { cookie_io(XKVM_OUTB, (unsigned long)c, v); }
void iowrite16(u16 v, void *c) { cookie_io(XKVM_OUTW, (unsigned long)c, v); }
void iowrite32(u32 v, void *c) { cookie_io(XKVM_OUTL, (unsigned long)c, v); }
u32 ioread8(const void *c) { return cookie_io(XKVM_INB, (unsigned long)c, 0); }
u32 ioread16(const void *c) { return cookie_io(XKVM_INW, (unsigned long)c, 0); }
u32 ioread32(const void *c) { return cookie_io(XKVM_INL, (unsigned long)c, 0); }

static void m_outb(u8 v, u32 p) { cookie_io(XKVM_OUTB, 0x40000 + p, v); }
static void m_outw(u16 v, u32 p) { cookie_io(XKVM_OUTW, 0x40000 + p, v); }
static void m_outl(u32 v, u32 p) { cookie_io(XKVM_OUTL, 0x40000 + p, v); }
static u8 m_inb(u32 p) { return cookie_io(XKVM_INB, 0x40000 + p, 0); }
static u16 m_inw(u32 p) { return cookie_io(XKVM_INW, 0x40000 + p, 0); }
static u32 m_inl(u32 p) { return cookie_io(XKVM_INL, 0x40000 + p, 0); }

void io_record(struct io_insn *insn, u8 kind, unsigned long addr)
{
	insn->kind = kind;
	insn->port = addr;
	insn->val = cut(kind & 0x7f, insn->val);
	insn->data = kind & 0x80 ? addr : 0;
}

void io_execute(struct io_insn *insn, unsigned int len, unsigned int room)
{
	if (len > room || len > MAX_OPS)
		put(&io_log[now], OVERRUN, len, room, 0);
	for (; len && room; insn++, len--, room--) {
		u32 kind = insn->kind & 0x7f;

		if (kind < XKVM_OUTB || kind > XKVM_INL)
			put(&io_log[now], BAD_ENTRY, kind, 0, 0);
		else if (insn->kind & 0x80)
			insn->val = cookie_io(kind, insn->data, insn->val);
		else
			insn->val = port_io(kind, insn->port, insn->val);
		insn->kind = 0x7f; /* an entry is good for one execution */
	}
}

/* Touches what an unknown function can: globals, and memory behind the pointer. */
static u32 touch(u32 kind, struct tf *t, u64 arg)
{
	put(&io_log[now], kind, arg, memory(), kept ? *kept : 0);
	u64 z = next();
	g8 += z;
	g16 ^= z >> 8;
	sh ^= z >> 5;
	garr[z & 3] += z >> 16;
	t->cmd ^= z >> 24;
	t->uw += z >> 32;
	t->b3 ^= z >> 40;
	t->arr[z >> 4 & 3] ^= z >> 48;
	if (kept)
		*kept += z;
	return z >> 20;
}
u32 opaque(struct tf *t, u64 arg) { return touch(OPAQUE, t, arg); }
u32 opaque_val(u32 arg) { return touch(OPAQUE_VAL, (struct tf *)arena, arg); }
static u32 get(struct hw *hw) { return touch(GET, &gs, hw->mmio); }
void keep(u8 *where, u8 add) { kept = where; touch(KEEP, &gs, add); }
void trace(u64 arg) { put(&trace_log[now], 0, arg, 0, 0); }
u32 pure_fn(u32 arg) { return arg * 2654435761u >> 7; }
u32 pure_mem(const struct tf *t) { return t->cmd + t->w * 3 + t->arr[0] + g8; }
void watch(volatile u8 *what) { watched = what; }

struct result {
	s64 value;
	u64 arena[256], desc;
	u8 garena[128];
	u64 memory;
};

static void start(struct tf *t)
{
	t->flag = next() & 1;
	t->addr = (void *)(unsigned long)(next() & 1 ? 0x10170 + (next() & 7) : 0xfee01000);
}

static void run(const struct table *table, unsigned int fn, unsigned int input, struct result *out)
{
	struct tf *a = (struct tf *)arena, *b = a + 1, *t = a, *u = b;
	struct hw hws[2];
	u16 *r;
	u8 *q;

	stream = 12345 + input * 7919;
	for (unsigned int i = 0; i < sizeof(arena); i++)
		((u8 *)arena)[i] = next();
	for (unsigned int i = 0; i < sizeof(garena); i++)
		garena[i] = next();
	for (unsigned int i = 0; i < sizeof(gs); i++)
		((u8 *)&gs)[i] = next();
	start(a);
	start(b);
	start(&gs);
	gd.len = gd.own = gseen = g32 = 0;
	memset(gdma, 0, sizeof(gdma));
	memset(garr, 5, sizeof(garr));
	g16 = next();
	sh = next();
	g_base = 0x300 + (next() & 0xf0);
	g_irq = next() & 1;
	watched = NULL;
	kept = NULL;
	for (int i = 0; i < 2; i++) {
		hws[i].mmio = (input >> i) & 1;
		hws[i].OUTB = hws[i].mmio ? m_outb : outb;
		hws[i].OUTW = hws[i].mmio ? m_outw : outw;
		hws[i].OUTL = hws[i].mmio ? m_outl : outl;
		hws[i].INB = hws[i].mmio ? m_inb : inb;
		hws[i].INW = hws[i].mmio ? m_inw : inw;
		hws[i].INL = hws[i].mmio ? m_inl : inl;
		hws[i].get = get;
	}
	q = (u8 *)(b + 2);
	r = (u16 *)(b + 3);
	switch (input) {
	case 1: u = t; q = t->arr; r = &t->w; break;
	case 2: u = &gs; q = garena; r = &t->uw; break;
	case 3: t = &gs; q = &t->cmd; r = (u16 *)&t->l; break;
	case 4: u = t; q = &t->ulo; r = &g16; break;
	case 5: q = u->arr; r = (u16 *)u->arr; break;
	case 6: q = &t->st; r = &u->w; break;
	}
	u32 n = next();
	u8 c = next() & 3;
	u64 w = next();
	u32 p = 0x1f0 + (next() & 0xf00);
	u8 *ck = (u8 *)0x10170ul + (next() & 7), *mm = (u8 *)0xfee00000ul;

	io_log[now].count = trace_log[now].count = 0;
	memset(out, 0, sizeof(*out));
	out->value = table->fns[fn](t, u, q, r, n, c, w, p, ck, mm, &hws[0], &hws[1]);
	memcpy(out->arena, arena, sizeof(arena));
	memcpy(out->garena, garena, sizeof(garena));
	out->desc = hash(hash(hash(5, &gd.len, 4), gdma, 4), &gseen, 4);
	out->memory = memory();
}

extern const struct table original, rewritten;
static unsigned int fn, input;

static void crashed(int number)
{
	printf("MISMATCH %u input %u: signal %d\n", fn, input, number);
	fflush(stdout);
	_exit(0);
}

static const char *differ(const struct log *a, const struct log *b, unsigned int *at)
{
	for (*at = 0; *at < a->count && *at < b->count; ++*at)
		if (memcmp(&a->at[*at], &b->at[*at], sizeof(struct event)))
			return "entry";
	return a->count != b->count ? "length" : NULL;
}

static const char *compare(const struct result *a, const struct result *b, unsigned int *at)
{
	const char *log = differ(&io_log[0], &io_log[1], at);

	if (log)
		return *log == 'e' ? "log entry" : "log length";
	if (differ(&trace_log[0], &trace_log[1], at))
		return "trace";
	*at = 0;
	if (a->value != b->value)
		return "return value";
	if (memcmp(a->arena, b->arena, sizeof(a->arena)))
		return "memory";
	if (memcmp(a->garena, b->garena, sizeof(a->garena)) || a->memory != b->memory)
		return "globals";
	return a->desc != b->desc ? "descriptor" : NULL;
}

int main(void)
{
	static struct result results[2];
	unsigned long events = 0;

	signal(SIGSEGV, crashed);
	signal(SIGBUS, crashed);
	signal(SIGABRT, crashed);
	signal(SIGFPE, crashed);
	signal(SIGALRM, crashed);
	alarm(60);
	for (fn = 0; fn < original.count; fn++)
		for (input = 0; input < INPUTS; input++) {
			const char *what;
			unsigned int at;

			now = 0;
			run(&original, fn, input, &results[0]);
			now = 1;
			run(&rewritten, fn, input, &results[1]);
			events += io_log[0].count;
			what = compare(&results[0], &results[1], &at);
			if (!what)
				continue;
			printf("MISMATCH %u input %u: %s %u\n", fn, input, what, at);
			for (unsigned int i = at; *what == 'l' && i < at + 4; i++)
				for (int v = 0; v < 2; v++)
					if (i < io_log[v].count)
						printf("  %s[%u]: %#x %#llx %#llx %#llx\n", v ? "new" : "old", i,
						       io_log[v].at[i].kind, io_log[v].at[i].a,
						       io_log[v].at[i].b, io_log[v].at[i].c);
			break;
		}
	printf("DONE %lu\n", events);
	return 0;
}
