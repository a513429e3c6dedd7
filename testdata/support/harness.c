/*
 * Runs lib/xkvm_io.c against a mock host and a mock bus. Every sequence runs
 * twice, natively and through the host; log and results must be the same.
 */
#include <linux/xkvm_io.h>

#define CHECK(c) do { if (!(c)) { fprintf(stderr, "line %d: %s (seed %u)\n", __LINE__, #c, seed); exit(1); } } while (0)
#define DOORBELL 0xec0
#define HYPERCALL 25

struct xd_regs { unsigned long base; void *cookie; u8 feature, count; unsigned int lba48:1, status:5; signed char sign; };
int xd_straight(struct xd_regs *r, unsigned long block, int mmio);
unsigned int xd_conditional(struct xd_regs *r, int hob, int device);
void xd_strings(struct xd_regs *r, const void *out, void *in, unsigned int n);
int off_straight(struct xd_regs *r, unsigned long block, int mmio);
unsigned int off_conditional(struct xd_regs *r, int hob, int device);
void off_strings(struct xd_regs *r, const void *out, void *in, unsigned int n);

static unsigned int seed;

/* ---- the machine ---- */
char mock_said[200];
struct notifier_block mock_pm;
int mock_cpu, mock_irqs_off;
char mock_arena[ARENA] __attribute__((aligned(4096)));
struct cpuinfo boot_cpu_data = { 13 };
static unsigned long arena_used;
static int encrypted, hypervisor = 1, pages_left = 1000, pages_freed;
static u32 features, leaf = 0x40000400;

static enum { ABSENT, TAKES, REFUSES, CAPRICIOUS, VANISHES } host;
static u32 exits, all_exits, handed_over, nmi_every;
static int in_use;

unsigned long get_zeroed_page(int gfp)
{
	char *page = mock_arena + arena_used;

	(void)gfp;
	if (!pages_left--)
		return 0;
	arena_used += PAGE_SIZE;
	memset(page, 0, PAGE_SIZE);
	return (unsigned long)page;
}

void free_page(unsigned long page)
{
	pages_freed += !!page;
}

unsigned long virt_to_phys(void *p)
{
	if ((char *)p < mock_arena || (char *)p >= mock_arena + ARENA)
		abort();
	return (char *)p - mock_arena + ARENA_GPA;
}

static void *phys_to_virt(u64 gpa)
{
	if (gpa < ARENA_GPA || gpa >= ARENA_GPA + ARENA)
		abort();
	return mock_arena + (gpa - ARENA_GPA);
}

int cc_platform_has(int what)
{
	return what == CC_ATTR_GUEST_MEM_ENCRYPT && encrypted;
}

void cpuid(u32 at, u32 *a, u32 *b, u32 *c, u32 *d)
{
	*a = *b = *c = *d = 0;
	if (at == 1)
		*c = (u32)hypervisor << 31;
	if (at == leaf && features) {
		*a = leaf + 1;
		memcpy(b, "XKVM", 4);
		memcpy(c, "XKVM", 4);
		memcpy(d, "XKVM", 4);
	} else if (at == leaf + 1 && features) {
		*a = XKVM_VERSION;
		*b = features;
		*c = DOORBELL;
		*d = HYPERCALL;
	}
}

u32 cpuid_ecx(u32 at)
{
	u32 a, b, c, d;

	cpuid(at, &a, &b, &c, &d);
	return c;
}

u32 cpuid_ebx(u32 at)
{
	(void)at;
	return 0x68747541;
}

/* ---- the bus: logs everything, answers reads from a seeded stream ---- */
struct access { u64 addr; u32 val; u8 width, in, mmio; };
static struct access log_[2][60000];
static u32 logged, which, stream;

static u32 access_(u64 addr, u32 val, int width, int in, int mmio)
{
	u32 mask = 0xffffffffu >> (32 - 8 * width);

	if (in) {
		stream = stream * 1664525 + 1013904223;
		val = stream >> 3;
	}
	if (logged == ARRAY_SIZE(log_[0]))
		abort();
	memset(&log_[which][logged], 0, sizeof(struct access));
	log_[which][logged++] = (struct access){ addr, val & mask, width, in, mmio };
	return val & mask;
}

static long host_runs(u64 gpa, u64 len)
{
	struct io_insn copy[XKVM_MAX_INSNS], *at = phys_to_virt(gpa);
	static u32 calls;
	u32 i, j;

	exits++;
	all_exits++;
	calls++;
	if (!mock_irqs_off || gpa % 4096 != 16 || !len || len > XKVM_MAX_INSNS)
		abort();
	if (host == ABSENT || (host == VANISHES && calls % 7 == 0))
		return XKVM_NO_ANSWER;
	if (host == REFUSES || (host == CAPRICIOUS && calls % 3 == 0))
		return -1;
	memcpy(copy, at, len * sizeof(*copy));
	for (i = 0; i < len; i++) {
		struct io_insn *e = &copy[i];
		u32 k = e->kind - 1, width = 1 << k % 3, in = k / 3 % 2;

		if (e->flags || e->kind < 1 || e->kind > 12)
			abort();
		if (e->kind < XKVM_OUTSB) {
			u32 val = access_(e->port, e->val, width, in, 0);

			if (e->data || (!in && val != e->val))
				abort();
			if (in)
				at[i].val = val;
			continue;
		}
		if (!e->val || e->data % 4096 + e->val * width > 4096 || e->data / 4096 == gpa / 4096)
			abort();
		for (j = 0; j < e->val; j++) {
			char *p = (char *)phys_to_virt(e->data) + j * width;
			u32 val = 0;

			memcpy(&val, p, width);
			val = access_(e->port, val, width, in, 0);
			if (in)
				memcpy(p, &val, width);
		}
	}
	handed_over += len;
	return len;
}

/* An NMI whose handler does I/O while the batch page is in use */
static void nmi(void)
{
	static u32 count;
	struct io_insn insn[2] = { { XKVM_INB, 0, 0x71, 0, 0 }, { XKVM_INB, 0, 0x71, 0, 0 } };
	u32 before = exits, kept_log = logged, kept_stream = stream;

	if (!nmi_every || ++count % nmi_every)
		return;
	xkvm_io_coalesce(insn, 2);
	if (exits != before || logged != kept_log + 2)
		abort();
	logged = kept_log;
	stream = kept_stream;
}

void outl(u32 value, int port)
{
	struct xkvm_page *page;

	if ((u16)port != DOORBELL) {
		access_((u16)port, value, 4, 0, 0);
		return;
	}
	nmi();
	page = phys_to_virt((u64)value << 12);
	if (page->result != XKVM_NO_ANSWER)
		abort();
	page->result = host_runs(((u64)value << 12) + 16, page->len);
}

long kvm_hypercall3(unsigned int nr, unsigned long a, unsigned long b, unsigned long c)
{
	nmi();
	if (nr == XKVM_HC_TUNNEL && a % 4096 == 0 && b == 1)
		return host_runs(a + (c >> 32), (u32)c);
	if (nr == HYPERCALL && !c)
		return host_runs(a, b);
	abort();
}

void outb(u8 v, int port) { access_((u16)port, v, 1, 0, 0); }
void outw(u16 v, int port) { access_((u16)port, v, 2, 0, 0); }
u8 inb(int port) { return access_((u16)port, 0, 1, 1, 0); }
u16 inw(int port) { return access_((u16)port, 0, 2, 1, 0); }
u32 inl(int port) { return access_((u16)port, 0, 4, 1, 0); }

#define STRINGS(bwl, type)							\
void outs##bwl(int port, const void *buf, unsigned long count)			\
{										\
	for (; count; count--, buf += sizeof(type)) {				\
		type v;								\
		memcpy(&v, buf, sizeof(v));					\
		access_((u16)port, v, sizeof(type), 0, 0);			\
	}									\
}										\
void ins##bwl(int port, void *buf, unsigned long count)				\
{										\
	for (; count; count--, buf += sizeof(type)) {				\
		type v = access_((u16)port, 0, sizeof(type), 1, 0);		\
		memcpy(buf, &v, sizeof(v));					\
	}									\
}
STRINGS(b, u8)
STRINGS(w, u16)
STRINGS(l, u32)

static int is_mmio(void *addr)
{
	unsigned long a = (unsigned long)addr;

	if (a <= 0x10000)
		abort();
	return a >= 0x40000;
}

#define COOKIES(bits, bwl, type)						\
void iowrite##bits(type v, void *addr)						\
{										\
	int m = is_mmio(addr);							\
	access_(m ? (u64)(unsigned long)addr : (u16)(unsigned long)addr, v, bits / 8, 0, m); \
}										\
u32 ioread##bits(void *addr)							\
{										\
	int m = is_mmio(addr);							\
	return access_(m ? (u64)(unsigned long)addr : (u16)(unsigned long)addr, 0, bits / 8, 1, m); \
}										\
void iowrite##bits##_rep(void *addr, const void *buf, unsigned long count)	\
{										\
	if (!is_mmio(addr)) {							\
		outs##bwl((u16)(unsigned long)addr, buf, count);		\
		return;								\
	}									\
	for (; count; count--, buf += sizeof(type)) {				\
		type v;								\
		memcpy(&v, buf, sizeof(v));					\
		iowrite##bits(v, addr);						\
	}									\
}										\
void ioread##bits##_rep(void *addr, void *buf, unsigned long count)		\
{										\
	if (!is_mmio(addr)) {							\
		ins##bwl((u16)(unsigned long)addr, buf, count);			\
		return;								\
	}									\
	for (; count; count--, buf += sizeof(type)) {				\
		type v = ioread##bits(addr);					\
		memcpy(buf, &v, sizeof(v));					\
	}									\
}
COOKIES(8, b, u8)
COOKIES(16, w, u16)
COOKIES(32, l, u32)

/* ---- sequences ---- */
static u32 rnd(u32 below)
{
	static u64 s;

	s = (s + seed + 1) * 6364136223846793005ULL + 1442695040888963407ULL;
	return (s >> 33) % below;
}

static void start(int native)
{
	which = native;
	logged = exits = handed_over = 0;
	stream = seed;
	mock_irqs_off = 0;
}

static u32 length[2];

static void same_log(void)
{
	CHECK(!mock_irqs_off);
	CHECK(length[0] == length[1]);
	CHECK(!memcmp(log_[0], log_[1], length[0] * sizeof(struct access)));
}

/* Native, by hand */
static void one(struct io_insn *e)
{
	void *c = (void *)(unsigned long)e->data;

	switch (e->kind) {
	case XKVM_OUTB: outb(e->val, e->port); break;
	case XKVM_OUTW: outw(e->val, e->port); break;
	case XKVM_OUTL: outl(e->val, e->port); break;
	case XKVM_INB: e->val = inb(e->port); break;
	case XKVM_INW: e->val = inw(e->port); break;
	case XKVM_INL: e->val = inl(e->port); break;
	case XKVM_IOWRITE8: iowrite8(e->val, c); break;
	case XKVM_IOWRITE16: iowrite16(e->val, c); break;
	case XKVM_IOWRITE32: iowrite32(e->val, c); break;
	case XKVM_IOREAD8: e->val = ioread8(c); break;
	case XKVM_IOREAD16: e->val = ioread16(c); break;
	case XKVM_IOREAD32: e->val = ioread32(c); break;
	}
}

static void random_batch(void)
{
	static struct io_insn io_out[700], copy[700];
	u32 n = rnd(4) ? rnd(20) : rnd(700), mmio = rnd(3) ? 0 : rnd(50), i;

	for (i = 0; i < n; i++) {
		u32 kind = 1 + rnd(6), val = rnd(1u << 31) * 3;
		unsigned long port = 0x100 + rnd(0x900), addr;

		addr = rnd(100) < mmio ? 0x40000 + rnd(0x10000) : 0x10000 + port;
		switch (kind | (rnd(2) ? XKVM_COOKIE : 0)) {
		case XKVM_OUTB: IO_OUT(i, OUTB, val, port); break;
		case XKVM_OUTW: IO_OUT(i, OUTW, val, port); break;
		case XKVM_OUTL: IO_OUT(i, OUTL, val, port); break;
		case XKVM_INB: IO_IN(i, INB, port); break;
		case XKVM_INW: IO_IN(i, INW, port); break;
		case XKVM_INL: IO_IN(i, INL, port); break;
		case XKVM_IOWRITE8: IO_OUT(i, IOWRITE8, val, (void *)addr); break;
		case XKVM_IOWRITE16: IO_OUT(i, IOWRITE16, val, (void *)addr); break;
		case XKVM_IOWRITE32: IO_OUT(i, IOWRITE32, val, (void *)addr); break;
		case XKVM_IOREAD8: IO_IN(i, IOREAD8, (void *)addr); break;
		case XKVM_IOREAD16: IO_IN(i, IOREAD16, (void *)addr); break;
		case XKVM_IOREAD32: IO_IN(i, IOREAD32, (void *)addr); break;
		}
	}
	memcpy(copy, io_out, sizeof(copy));
	start(0);
	xkvm_io_coalesce(io_out, n);
	length[0] = logged;
	CHECK(length[0] == n);
	if (in_use && host == TAKES && !mmio && n > 1)
		CHECK(exits == (n + 254) / 255 - (n % 255 == 1));
	start(1);
	for (i = 0; i < n; i++)
		one(&copy[i]);
	length[1] = logged;
	same_log();
	for (i = 0; i < n; i++)
		CHECK(io_out[i].val == copy[i].val);
}

static void random_string(void)
{
	static char outside[40000];
	static char got[2][40000];
	u32 count = rnd(3) ? 1 + rnd(512) : rnd(9000), pass, i;
	u32 offset = rnd(2) ? 0 : rnd(5000), kind = rnd(12);
	unsigned long port = 0x170, addr = rnd(5) ? 0x10170 : 0x50000;
	char *buf = rnd(2) ? outside : mock_arena + ARENA - sizeof(outside);

	buf += offset;
	count = min(count, (sizeof(outside) - offset) / 4);
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < count * 4; i++)
			buf[i] = i * 7 + i / 256;
		start(pass);
		if (pass)
			switch (kind) {
			case 0: outsb(port, buf, count); break;
			case 1: outsw(port, buf, count); break;
			case 2: outsl(port, buf, count); break;
			case 3: insb(port, buf, count); break;
			case 4: insw(port, buf, count); break;
			case 5: insl(port, buf, count); break;
			case 6: iowrite8_rep((void *)addr, buf, count); break;
			case 7: iowrite16_rep((void *)addr, buf, count); break;
			case 8: iowrite32_rep((void *)addr, buf, count); break;
			case 9: ioread8_rep((void *)addr, buf, count); break;
			case 10: ioread16_rep((void *)addr, buf, count); break;
			case 11: ioread32_rep((void *)addr, buf, count); break;
			}
		else
			switch (kind) {
			case 0: xkvm_outsb(port, buf, count); break;
			case 1: xkvm_outsw(port, buf, count); break;
			case 2: xkvm_outsl(port, buf, count); break;
			case 3: xkvm_insb(port, buf, count); break;
			case 4: xkvm_insw(port, buf, count); break;
			case 5: xkvm_insl(port, buf, count); break;
			case 6: xkvm_iowrite8_rep((void *)addr, buf, count); break;
			case 7: xkvm_iowrite16_rep((void *)addr, buf, count); break;
			case 8: xkvm_iowrite32_rep((void *)addr, buf, count); break;
			case 9: xkvm_ioread8_rep((void *)addr, buf, count); break;
			case 10: xkvm_ioread16_rep((void *)addr, buf, count); break;
			case 11: xkvm_ioread32_rep((void *)addr, buf, count); break;
			}
		length[pass] = logged;
		memcpy(got[pass], buf, count * 4);
	}
	CHECK(length[0] == count);
	same_log();
	CHECK(!memcmp(got[0], got[1], count * 4));
}

/* The driver that uses everything, built with and without CONFIG_XKVM_IO */
static void driver(void)
{
	struct xd_regs r[2];
	static u32 in[2][64];
	u32 out[16], pass, ret[2];

	memset(r, 0, sizeof(r));
	memset(in, 0, sizeof(in));
	for (pass = 0; pass < 2; pass++) {
		struct xd_regs *x = &r[pass];

		memset(out, 0x5a, sizeof(out));
		x->base = 0x1f0;
		x->cookie = (void *)(seed % 3 ? 0x10170UL : 0x50170UL);
		x->feature = 0xa5;
		x->count = seed;
		start(pass);
		ret[pass] = (pass ? off_straight : xd_straight)(x, 0x123456 + seed, 0);
		ret[pass] += (pass ? off_conditional : xd_conditional)(x, seed & 1, seed & 2);
		(pass ? off_strings : xd_strings)(x, out, in[pass], 16);
		length[pass] = logged;
	}
	same_log();
	CHECK(ret[0] == ret[1]);
	CHECK(r[0].sign == r[1].sign && r[0].status == r[1].status);
	CHECK(!memcmp(in[0], in[1], sizeof(in[0])));
}

static void round_(u32 rounds)
{
	for (seed = 0; seed < rounds; seed++) {
		mock_cpu = seed % NR_CPUS;
		random_batch();
		random_string();
		driver();
	}
}

static void counts(void)
{
	struct io_insn io_out[11];
	static char stack_like[512];
	u32 i;

	start(0);
	for (i = 0; i < 11; i++)
		IO_OUT(i, OUTB, i, 0x1f0 + i);
	xkvm_io_coalesce(io_out, 11);
	CHECK(exits == 1 && handed_over == 11 && logged == 11);
	start(0);
	xkvm_io_coalesce(io_out, 1);
	CHECK(exits == 0 && logged == 1);
	start(0);
	xkvm_outsw(0x1f0, stack_like, 256);
	CHECK(exits == 1 && logged == 256);
	start(0);
	xkvm_outsw(0x1f0, mock_arena + ARENA - 0x5e00, 256);
	CHECK(exits == 1 && handed_over == 1 && logged == 256);
	start(0);
	xkvm_outsw(0x1f0, mock_arena + ARENA - 0x5100, 256);
	CHECK(exits == 1 && handed_over == 2 && logged == 256);
}

/* A flush reads back, but not from an emulated device */
static void flushes(unsigned int each)
{
	start(0);
	xkvm_writeb_flush(1, (void *)0x50000);
	CHECK(logged == each);
	xkvm_writew_flush(1, (void *)0x50000);
	xkvm_writel_flush(1, (void *)0x50000);
	xkvm_iowrite8_flush(1, (void *)0x50000);
	xkvm_iowrite16_flush(1, (void *)0x101f0);
	xkvm_iowrite32_flush(1, (void *)0x50000);
	CHECK(logged == 6 * each);
}

/* While the image is made, and where it comes back without a host, nobody is called */
static void hibernation(void)
{
	u32 offered = features, there = hypervisor;

	all_exits = in_use = 0;
	mock_pm.notifier_call(&mock_pm, PM_HIBERNATION_PREPARE, NULL);
	round_(5);
	CHECK(!all_exits);
	features = 0;
	mock_pm.notifier_call(&mock_pm, PM_POST_HIBERNATION, NULL);
	round_(5);
	CHECK(!all_exits);
	features = offered;
	hypervisor = 0;
	mock_pm.notifier_call(&mock_pm, PM_POST_HIBERNATION, NULL);
	round_(5);
	CHECK(!all_exits);
	hypervisor = there;
	leaf += 0x100;
	mock_pm.notifier_call(&mock_pm, PM_POST_HIBERNATION, NULL);
	in_use = 1;
	counts();
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	u32 rounds = 400;

	/* Too early: nothing is set up */
	round_(5);
	if (!strcmp(how, "none")) {
		CHECK(!mock_init() && !*mock_said);
		flushes(1);
	} else if (!strcmp(how, "bare-metal")) {
		hypervisor = 0;
		features = ~0u;
		CHECK(!mock_init() && !*mock_said);
		flushes(2);
	} else if (!strcmp(how, "encrypted")) {
		encrypted = 1;
		features = ~0u;
		CHECK(!mock_init() && strstr(mock_said, "off"));
	} else if (!strcmp(how, "off")) {
		features = ~0u;
		CHECK(mock_setup("off") && !mock_init() && !*mock_said);
		flushes(2);
	} else if (!strcmp(how, "no-memory")) {
		features = ~0u;
		pages_left = 3;
		CHECK(mock_init() == -ENOMEM && pages_freed == 3);
	} else if (!strcmp(how, "no-strings")) {
		features = 1;
		host = TAKES;
		in_use = 1;
		CHECK(!mock_init() && strstr(mock_said, "doorbell") && !strstr(mock_said, "strings"));
		round_(rounds);
		start(0);
		xkvm_outsw(0x1f0, "abcd", 2);
		CHECK(!exits && logged == 2);
		return 0;
	} else {
		features = 0x107;
		CHECK(!mock_setup("sideways") && mock_setup((char *)how));
		/* Only this transport; strings are offered apart */
		CHECK(!mock_init() && strstr(mock_said, how) && strstr(mock_said, "strings"));
		host = TAKES;
		in_use = 1;
		counts();
		round_(rounds);
		nmi_every = 3;
		round_(rounds);
		host = CAPRICIOUS;
		round_(rounds);
		host = REFUSES;
		round_(50);
		host = TAKES;
		counts();
		hibernation();
		host = VANISHES;
		round_(rounds);
		in_use = 0;
		host = TAKES;
		all_exits = 0;
		round_(5);
		CHECK(!all_exits);
		return 0;
	}
	host = TAKES;
	round_(rounds);
	CHECK(!all_exits);
	return 0;
}
