/* CppTrader's MarketManager on the stream of ../order_stream.h, beside book_bench. Built and run by bench/engine_bench.py:
 *
 *	cpptrader RESTING SEED ROUNDS
 */
#include "trader/matching/market_manager.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "../order_stream.h"

using namespace CppTrader::Matching;

static constexpr size_t COMMANDS = 3000000;

struct Handler : MarketHandler {
	uint64_t fills = 0, filled = 0; /* said of both orders of a fill */
	void onExecuteOrder(const Order &, uint64_t, uint64_t quantity) override
	{
		fills++;
		filled += quantity;
	}
};

static ErrorCode run(MarketManager &market, const order_command &command)
{
	auto side = command.buy ? OrderSide::BUY : OrderSide::SELL;
	switch (command.op) {
	case ORDER_ADD: return market.AddOrder(Order::Limit(command.id, 0, side, command.price, command.qty));
	case ORDER_IOC:
		return market.AddOrder(
			Order::Limit(command.id, 0, side, command.price, command.qty, OrderTimeInForce::IOC));
	case ORDER_CANCEL: return market.DeleteOrder(command.id);
	default: return market.ModifyOrder(command.id, command.price, command.qty);
	}
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "cpptrader RESTING SEED ROUNDS\n");
		return 2;
	}
	order_stream stream =
		order_stream_make(COMMANDS, strtoull(argv[1], nullptr, 10), strtoull(argv[2], nullptr, 10));
	for (int round = 0; round < atoi(argv[3]); round++) {
		Handler handler;
		MarketManager market(handler);
		Symbol symbol(0, "CARBON  ");
		market.AddSymbol(symbol);
		market.AddOrderBook(symbol);
		market.EnableMatching();
		size_t refused = 0, i = 0;
		for (; i < stream.warmup; i++)
			refused += run(market, stream.commands[i]) != ErrorCode::OK;
		auto began = std::chrono::steady_clock::now();
		clock_t processor = clock();
		for (; i < stream.count; i++)
			refused += run(market, stream.commands[i]) != ErrorCode::OK;
		double processor_s = (double)(clock() - processor) / CLOCKS_PER_SEC;
		double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
		if (handler.fills / 2 != stream.fills || handler.filled / 2 != stream.filled_qty ||
			market.orders().size() != stream.resting_orders || refused) {
			fprintf(stderr, "its fills are not the stream's\n");
			return 1;
		}
		printf("%.0f %.0f\n", COMMANDS / processor_s, COMMANDS / seconds);
	}
	return 0;
}
